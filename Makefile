# Each target makes and fills .venv by itself; nothing else needs to be installed but Python 3.11 or
# newer, a C++20 compiler and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := convert,cpu,openvino,carbon,report,trt-check,dev
# What a test compares our calls with. It is of no use without TensorRT itself, so it lies where
# nothing imports it.
TENSORRT_BINDINGS := tensorrt-cu13-bindings==11.4.0.106
CPP := $(shell find csrc tests/cpp -name '*.cpp' -o -name '*.h' 2>/dev/null)

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: quickstart test test-slow lint cpp-test sanitize format clean

quickstart: $(READY)
	$(BIN)/jouleforge quickstart

test: lint cpp-test
	$(BIN)/pytest

test-slow: lint cpp-test
	$(BIN)/pytest --slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CPP)

cpp-test: $(READY)
	cmake -S . -B build/cpp -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DJOULEFORGE_BUILD_PYTHON=OFF \
	  -DJOULEFORGE_BUILD_TESTS=ON -DJOULEFORGE_WERROR=ON
	cmake --build build/cpp
	ctest --test-dir build/cpp --output-on-failure

# The harness under ThreadSanitizer, then under AddressSanitizer with UndefinedBehaviorSanitizer.
sanitize: $(READY)
	for kind in thread address,undefined; do \
	  cmake -S . -B build/sanitize-$${kind%%,*} -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	    -DJOULEFORGE_BUILD_PYTHON=OFF -DJOULEFORGE_BUILD_TESTS=ON -DJOULEFORGE_WERROR=ON \
	    -DJOULEFORGE_SANITIZE=$$kind && \
	  cmake --build build/sanitize-$${kind%%,*} && \
	  ctest --test-dir build/sanitize-$${kind%%,*} --output-on-failure || exit 1; \
	done

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

$(READY): pyproject.toml constraints.txt CMakeLists.txt $(shell find csrc -type f 2>/dev/null)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jouleforge needs Python 3.11 or newer; run: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt scikit-build-core pybind11 cmake ninja
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	  --config-settings=cmake.define.JOULEFORGE_WERROR=ON --editable '.[$(EXTRAS)]'
	test -d $(VENV)/tensorrt-11 || $(BIN)/python -m pip install --quiet --no-deps \
	  --target $(VENV)/tensorrt-11 $(TENSORRT_BINDINGS)
	touch $@

clean:
	rm -rf $(VENV) build quickstart-out
