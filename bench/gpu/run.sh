#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU: `run.sh [PART…]`, by default all of them in this order.
#
#   engines  the driver, the tests marked gpu, engines and a small study
#   meter    the examination of the GPU's energy counter, idle power, and a line for a table of boards
#   windows  windows from edge to edge against reading at any moment; the lag; NVML's time stamps
#
# Each takes nine minutes at most, for machines that are lent by the ten minutes.
#
# Needs Python 3.11 or newer with PyTorch for CUDA and transformers, a C++20 compiler, CMake and the
# driver; no network. Packages that this Python lacks are taken from wheels in $WHEELS (by default
# bench/gpu/wheels), which is also where TensorRT or TensorRT-RTX come from if they are to be tried.
# A wheel may lie there in parts, NAME.whl.part0, NAME.whl.part1, …
#
# $OUT (by default bench/results/gpu) receives steps.jsonl, one line for each step with its status
# (ok, failed, or unavailable: this machine lacks what it needs), STEP.json with all that a step
# found, none of them over 16 MiB, and log.txt, all that was printed. Parts that are run one by one
# add to it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

OUT="$(realpath -m "${OUT:-bench/results/gpu}")"
WHEELS="$(realpath -m "${WHEELS:-bench/gpu/wheels}")"
PYTHON="${PYTHON:-python3}"
PART_S="${LIMIT_S:-530}"
DEADLINE=$((SECONDS + PART_S))
BUILD=build/gpu
mkdir -p "$OUT" "$BUILD"
if (($# == 0)); then
  set -- engines meter windows
  rm -f "$OUT/steps.jsonl" "$OUT/log.txt"
fi
for part in "$@"; do
  case "$part" in
    engines | meter | windows) ;;
    *) echo "expected engines, meter or windows, found $part" >&2 && exit 2 ;;
  esac
done
touch "$OUT/steps.jsonl" "$OUT/log.txt"

# step NAME SECONDS COMMAND...: exit status 3 means that something is missing, as everywhere here.
step() {
  local name="$1" limit="$2" start="$SECONDS" code status detail
  shift 2
  local left=$((DEADLINE - SECONDS))
  ((left < limit)) && limit="$left"
  if ((limit < 5)); then
    code=3 detail='"no time was left"'
    echo "== $name: no time left" >>"$OUT/log.txt"
  else
    echo "== $name: $*" >>"$OUT/log.txt"
    timeout --kill-after=5 "$limit" "$@" >"$BUILD/step.txt" 2>&1 </dev/null
    code=$?
    cat "$BUILD/step.txt" >>"$OUT/log.txt"
    detail="$(tail -n 1 "$BUILD/step.txt" | "$PYTHON" -c '
import json, sys
text = sys.stdin.read().strip()
try:
    print(json.dumps(json.loads(text)))
except ValueError:
    print(json.dumps(text[-500:]))')"
  fi
  case "$code" in
    0) status=ok ;;
    3) status=unavailable ;;
    127) status=unavailable ;; # no such command
    124 | 137) status="failed" detail="\"stopped after $limit s\"" ;;
    *) status=failed ;;
  esac
  printf '{"step": "%s", "status": "%s", "seconds": %d, "detail": %s}\n' \
    "$name" "$status" $((SECONDS - start)) "$detail" | tee -a "$OUT/steps.jsonl"
  return "$code"
}

join_wheels() {
  local first
  for first in "$WHEELS"/*.part0; do
    [ -e "$first" ] && cat "${first%0}"* >"${first%.part0}"
  done
  return 0
}

# A layer over the given Python: what is installed here changes nothing there.
install() {
  # Without pip of its own: Python's venv needs ensurepip for that, which is often left out.
  "$PYTHON" -m venv --clear --without-pip "$BUILD/venv" || return 1
  pip() { "$PYTHON" -m pip --python "$BUILD/venv/bin/python" "$@"; }
  local own
  own="$("$BUILD/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  "$PYTHON" -c 'import sys; print("\n".join(p for p in sys.path if p.endswith("-packages")))' \
    >"$own/base.pth"
  pip install --quiet --no-index --find-links "$WHEELS" \
    --no-build-isolation --editable . || return 1
  local wheel
  for wheel in "$WHEELS"/tensorrt*.whl; do
    [ -e "$wheel" ] && pip install --quiet --no-index --no-deps "$wheel"
  done
  "$BUILD/venv/bin/python" -c 'import jouleforge, json; print(json.dumps(jouleforge.__file__))'
}

cpp_tests() {
  cmake -S . -B "$BUILD/cpp" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DJOULEFORGE_BUILD_PYTHON=OFF -DJOULEFORGE_BUILD_TESTS=ON -DJOULEFORGE_WERROR=ON &&
    cmake --build "$BUILD/cpp" && ctest --test-dir "$BUILD/cpp" --output-on-failure
}

gpu_tests() {
  # Only files that have such tests are read: the others may want packages that are not here.
  grep -rl --include='test_*.py' 'mark\.gpu' tests |
    xargs "$BUILD/venv/bin/python" -m pytest -m gpu -q -p no:cacheprovider | tee "$BUILD/tests.txt"
  local code=${PIPESTATUS[1]}
  if [ "$code" -eq 0 ] && ! grep -q passed "$BUILD/tests.txt"; then return 3; fi
  return "$code"
}

engines() {
  step driver 30 "$VENV_PYTHON" bench/gpu/steps.py driver
  step tests 120 bash -c gpu_tests
  step energy 40 "$VENV_PYTHON" bench/gpu/steps.py energy
  step captured 90 "$VENV_PYTHON" bench/gpu/steps.py captured
  step rtx-plan 120 "$VENV_PYTHON" bench/gpu/steps.py rtx
  step tensorrt 120 "$VENV_PYTHON" bench/gpu/steps.py tensorrt
  step study 150 "$VENV_PYTHON" bench/gpu/steps.py study
  step cpp 150 bash -c cpp_tests
}

# Deep idle comes first: a context that was opened before keeps the GPU awake for a while.
meter() {
  step meter-idle 90 "$VENV_PYTHON" bench/gpu/steps.py meter-idle
  step meter-doctor 400 "$VENV_PYTHON" bench/gpu/steps.py meter-doctor
  step meter-table 10 "$VENV_PYTHON" bench/gpu/steps.py meter-table
}

windows() {
  step meter-lag 80 "$VENV_PYTHON" bench/gpu/steps.py meter-lag
  step meter-stamps 30 "$VENV_PYTHON" bench/gpu/steps.py meter-stamps
  step meter-unaligned 240 "$VENV_PYTHON" bench/gpu/steps.py meter-unaligned
  step meter-table 10 "$VENV_PYTHON" bench/gpu/steps.py meter-table
}

export -f join_wheels install cpp_tests gpu_tests
export BUILD OUT WHEELS PYTHON
export HF_HUB_OFFLINE=1

step machine 30 nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit --format=csv
step wheels 60 bash -c join_wheels
step install 150 bash -c install || exit 1
VENV_PYTHON="$BUILD/venv/bin/python"
step doctor 30 "$VENV_PYTHON" -m jouleforge doctor
for part in "$@"; do
  "$part"
  DEADLINE=$((SECONDS + PART_S))
done
! grep -q '"status": "failed"' "$OUT/steps.jsonl"
