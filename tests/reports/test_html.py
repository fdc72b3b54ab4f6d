"""The HTML report: complete, self-contained and escaped."""

from html.parser import HTMLParser

import pytest
from samples import EAGER, INT8, ORT, SDPA, measurement, repeats, study

from jouleforge.comparison import Comparison, compare
from jouleforge.measurement import Measurement
from jouleforge.reports import html

VOID = {"meta", "link", "br", "hr", "img", "input"}
LOADING = {"script", "iframe", "object", "embed", "img", "video", "audio", "source", "base", "form"}


class Page(HTMLParser):
    """Collects elements, attributes and the text of the table's rows; checks the nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.rows: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "tr" in self._open:
            self.rows[-1] += data


def many(count: int) -> list[Measurement]:
    """Return rows of many padding policies."""
    recipes = [EAGER, SDPA, ORT, INT8]
    return [
        one
        for number in range(count)
        for one in repeats(
            [90.0 + 40 * number, 93.0 + 40 * number],
            recipes[number % 4],
            padding=f"static:{32 * (number // 4 + 1)}",
            wrong=range(20 + number % 5),
        )
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_page_has_every_row(count: int) -> None:
    found = compare(many(count))
    page = Page(html.render(found))
    assert len(page.rows) == 2 * (count + 1)  # the rows, and their latencies
    for number, (row, text) in enumerate(
        zip(found.rows, page.rows[1 : count + 1], strict=True), start=1
    ):
        assert text.split()[0] == str(number)
        assert row.name in text
        assert row.first.workload.padding in text


def test_page_loads_nothing() -> None:
    page = Page(html.render(compare(study())))
    assert not LOADING & set(page.elements)
    loaded = {(tag, name): value for tag, name, value in page.attributes
              if name in ("src", "href", "srcset", "data", "action", "poster")}  # fmt: skip
    assert loaded == {("link", "href"): "data:,"}
    text = html.render(compare(study()))
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_page_forbids_the_browser_to_load_anything() -> None:
    page = Page(html.render(compare(study())))
    (policy,) = [
        value
        for tag, name, value in page.attributes
        if tag == "meta" and value.startswith("default-src")
    ]
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize(
    "change", ["engine_name", "task", "notes", "checkpoint", "runtime", "cpu", "readings"]
)
def test_text_of_a_measurement_is_escaped(change: str) -> None:
    evil = '</title></style><script>alert(\'x\')</script>"><b onclick="x">'
    value: object = evil
    if change == "notes":
        value = [evil]
    if change == "readings":
        value = [measurement(EAGER).energy[0].model_copy(update={"reason": evil})]
    rows = [
        measurement(EAGER, **{change: value}),  # type: ignore[arg-type]
        measurement(ORT, examples_per_s=300, **{change: value}),  # type: ignore[arg-type]
    ]
    page = Page(html.render(compare(rows)))
    assert "script" not in page.elements
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert evil in page.text


def test_backticks_become_code_and_nothing_else() -> None:
    text = html.render(compare([measurement(EAGER, notes=["run `a <b>` & go"])]))
    assert "run <code>a &lt;b&gt;</code> &amp; go" in text


def test_page_without_energy_says_why() -> None:
    page = Page(html.render(compare(many(2))))
    assert "Energy was not measured" in page.text
    assert "E_RAPL_ABSENT: no RAPL here" in page.text
    assert "Energy ratio" not in page.text


def test_page_with_energy_has_a_chart_of_its_ratios() -> None:
    rows = repeats([100, 101], EAGER, joules_per_example=1.0)
    rows += repeats([200, 201], ORT, joules_per_example=0.4)
    page = Page(html.render(compare(rows)))
    assert "Joules per example, relative to the baseline" in page.text
    assert "J per example" in page.text


def kinds(comparison: Comparison) -> set[str]:
    page = Page(html.render(comparison))
    found = {value for tag, name, value in page.attributes if tag == "rect" and name == "class"}
    return {value.removeprefix("fill ") for value in found if value.startswith("fill ")}


def test_bar_is_coloured_only_where_a_difference_is_shown() -> None:
    eager = repeats([100, 101, 99], EAGER)
    assert kinds(compare(eager + repeats([300, 303, 299], ORT))) == {"base", "good"}
    assert kinds(compare(eager + repeats([30, 31, 29], ORT))) == {"base", "bad"}
    assert kinds(compare(eager + repeats([300, 40, 99], ORT))) == {"base", "open"}
    assert kinds(compare([eager[0], *repeats([300], ORT)])) == {"base", "open"}


def test_bars_stay_inside_their_track() -> None:
    wild = compare(repeats([100, 101], EAGER) + repeats([300, 30], ORT))
    page = Page(html.render(wild))
    lengths = [
        float(value.removesuffix("%"))
        for tag, name, value in page.attributes
        if tag in ("rect", "line") and name in ("width", "x1", "x2") and value.endswith("%")
    ]
    assert lengths
    assert all(0 <= length <= 100 for length in lengths)


def test_regression_has_a_page_too() -> None:
    rows = [
        measurement(recipe, kind="regression", metrics={"pearson": value})
        for recipe, value in ((EAGER, 0.9), (ORT, None))
    ]
    page = Page(html.render(compare(rows)))
    assert "Pearson" in page.text
    assert "pearson is undefined" in page.text
