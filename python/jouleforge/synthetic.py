"""The synthetic task of the quickstart: labelled short reviews written by a small random grammar.

It stands in for a real task where there is neither a network nor data. To be an honest stand-in it
keeps what makes real text hard: lengths spread log-normally, words follow Zipf's law, opinions are
negated, mixed, conceded or depend on what they are said of (hot coffee, hot beer), words are
misspelt, and some labels are wrong. Counting words is therefore not enough, and nothing is perfect.
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from jouleforge.errors import InputError

LABELS: Final = ("complaint", "praise")

Row = tuple[str, str]
"""One text and the name of its label."""

# A slot {name+} keeps the polarity of the phrase it stands in, {name-} turns it round. A rule that
# has a polarity has two entries, "name good" and "name bad". Alternatives that start with a number
# have that weight; the others follow Zipf's law in the order written.
_RULES: Final = {
    "clause": """
        24* the {aspect} {was} {very} {adj+} | 6* {we} found the {aspect} {adj+} | 5* {we} {liked+}
        the {aspect} | 4* the {aspect} {was} {thing+} | 3* the {fit+} | 8* the {aspect} {was} {not}
        {adj-} | 2* {we} did not {like-} the {aspect} | 1* nobody could call the {aspect} {adj-} |
        2* the {aspect} used to be {adj-} and is now {adj+} | 2* {we} had been told the {aspect}
        would be {adj-} and it {was} {adj+}
    """,
    "sentence one": "8* {clause+} | 1* {adj+} {aspect}",
    "sentence two": "3* {clause+} and {clause+} | 1* {clause+} ; besides , {clause+}",
    "sentence mixed": """
        6* {clause-} , but {clause+} | 4* although {clause-} , {clause+} | 2* {clause+} , even
        though {clause-}
    """,
    "sentence verdict": "1* {verdict+}",
    "sentence aside": """
        we came {when} with {who} | it stands {where} | i ordered it {when} , mostly for {who} |
        {who} had the {aspect} and i had the other one | the {aspect} {was} {vague} | a friend
        from {name} had told us about it | it is run by {who} | we met {who} there | this was our
        {ordinal} time in {name} | i am writing this {where} | we paid by card | the {aspect}
        comes with a {noun} | {name} was full of people {when} | it rained {when} | they have
        another one {where} , which {who} knows | {who} asked about the {aspect} | you can see
        the {noun} from the {place} | we took the {aspect} and {who} took the {noun}
    """,
    "verdict good": """
        we will be back | recommended | worth every penny | five stars | go there {when} | i
        would not change a thing | {who} wants to go again | we could not ask for more | i have
        already told {who} to try it | you will not regret it | nothing to complain about
    """,
    "verdict bad": """
        never again | not recommended | not worth a penny | one star | i want my money back | i
        would change everything | {who} does not want to go again | we could ask for much more |
        i have already told {who} to avoid it | you will regret it | plenty to complain about
    """,
    "liked good": "loved | liked | enjoyed | praised | admired | adored | savoured | treasured",
    "liked bad": "hated | regretted | disliked | returned | resented | loathed | endured | dreaded",
    "like good": "like | enjoy | love | trust | praise | admire | want back",
    "like bad": "regret | mind | hate | dislike | resent | return | dread",
    "thing good": """
        a delight | a pleasure | a joy | a success | a bargain | a treat | a triumph | a find | a
        gem | a relief | a marvel | a blessing
    """,
    "thing bad": """
        a let-down | a disappointment | a mess | a failure | a rip-off | a disaster | a joke | a
        bore | a nuisance | a shame | a nightmare | a fiasco
    """,
    "adj good": """
        good | great | nice | lovely | excellent | friendly | clean | perfect | helpful | fresh |
        comfortable | wonderful | tasty | pleasant | reliable | charming | fantastic | generous |
        beautiful | superb | honest | spotless | delightful | thoughtful | impressive | cosy |
        delicious | careful | solid | outstanding | brilliant | graceful | prompt | polished |
        sturdy | attentive | flawless | sincere | elegant | inviting | splendid | refined |
        radiant | stellar
    """,
    "adj bad": """
        bad | poor | terrible | dirty | slow | rude | awful | disappointing | broken | boring |
        stale | noisy | overpriced | horrible | bland | careless | unpleasant | useless | shabby
        | greasy | dull | dreadful | mediocre | clumsy | filthy | tiring | flimsy | unreliable |
        lazy | sloppy | tasteless | pathetic | worn | grim | hostile | dismal | wretched | shoddy
        | tacky | dingy | appalling | soulless | murky | abysmal
    """,
    "vague": """
        different | as described | what it was | unusual | surprising | interesting | average |
        normal | something else | new to us | busy | simple | hard to judge | all right | like
        last year
    """,
    "very": """
        10* | 5* very | 3* really | 2* so | 2* quite | 2* rather | 1* truly | 1* extremely | 1*
        just | 1* unusually | 1* thoroughly | 1* as always | 1* somewhat | 1* incredibly | 1*
        simply
    """,
    "not": """
        8* not | 3* never | 1* hardly | 1* not at all | 1* far from | 1* anything but | 1* by no
        means | 1* nowhere near
    """,
    "was": "12* was | 4* is | 2* seemed | 1* has always been | 1* felt | 1* looked | 1* remains",
    "we": """
        we | i | my wife | everyone | my husband | our group | the children | my friends | most
        of us
    """,
    "who": """
        the children | my wife | a friend | my parents | {name} | my husband | two colleagues |
        my sister | the neighbours | our guests | a large group | my brother | {name} and {name}
        | the dog | an old couple | my boss | her cousins | a class of students | the whole
        office
    """,
    "when": """
        last week | on Sunday | in May | at noon | last year | on a Friday evening | in the
        morning | after work | for lunch | over the holidays | around nine | in winter | late at
        night | before the concert | two days ago | on our way to {name} | during the fair | at
        Easter
    """,
    "where": """
        near the station | in {name} | by the river | behind the church | next to the {place} |
        on the main road | ten minutes from {name} | opposite the {place} | at the edge of town |
        in the old part of {name} | above a bank | not far from the {place}
    """,
    "place": """
        market | museum | park | harbour | library | bridge | school | theatre | castle | beach |
        tower | factory | square | hospital | lighthouse | stadium | bakery | mill
    """,
    "ordinal": "first | second | third | fourth | fifth | tenth",
    "aspect": """
        service | food | staff | room | place | breakfast | location | price | view | delivery |
        quality | atmosphere | dinner | bathroom | battery | waiter | design | music | sound |
        garden | menu | tour | guide | picture | parking | reception | terrace | dessert |
        manager | driver | wine | packaging | pool | story | owner | cleaning | furniture | lunch
        | shower | entrance | kitchen | camera | manual | heating | repair | lesson | film |
        museum | boat | bicycle | lift | keyboard | carpet | balcony | concert | ending | cast |
        support | website | app | software | fabric | printer | sauna | bakery | decoration |
        refund | shop | chef | choice | lighting | cottage | ferry | spa | playground | brochure
        | sofa | mattress | welcome | luggage service | cloakroom | exhibition | workshop |
        translation | wardrobe | chandelier | orchestra | vineyard | aquarium
    """,
}

# Each adjective suits the first nouns and spoils the others, and its opposite the reverse: neither
# the adjective nor the noun tells the polarity, only the two together.
_FITS: Final = (
    ("hot", "cold", "coffee soup bath tea", "beer lemonade salad cellar"),
    ("small", "big", "bill queue deposit", "portion screen bed"),
    ("loud", "quiet", "speaker alarm doorbell", "fan street heater"),
    ("dry", "moist", "tent towel basement", "cake chicken bread"),
    ("light", "heavy", "laptop backpack pram", "curtain pan blanket"),
)

# (share, score, sentence): how often a sentence is written and how much it says about the label.
_SENTENCES: Final = (
    (48, 1, "one"),
    (8, 2, "two"),
    (14, 1, "mixed"),
    (8, 2, "verdict"),
    (22, 0, "aside"),
)
_SYLLABLES: Final = (
    "al ber cor dan el fen gar hol is kel lor mar nor os pen ral sel tor ul ver wen yar"
)
_NAMES: Final = 600

_MEAN_LOG_TOKENS: Final = 2.8
_SPREAD_LOG_TOKENS: Final = 0.8
_TOKENS: Final = (3, 112)
_AGREEMENT: Final = 0.92
_WRONG_LABELS: Final = {1: 0.04, 2: 0.03}
_WRONG_LABEL_OTHERWISE: Final = 0.02
_MISSPELT: Final = 0.012

_TASK: Final = """\
name = "synthetic"
description = "Synthetic text made by jouleforge: not real language; short reviews from a grammar"
kind = "single-label"
labels = ["complaint", "praise"]
metric = "accuracy"
synthetic = true

[files]
format = "tsv"
text = ["text"]
label = "label"

[files.splits]
calibration = { file = "train.tsv", part = [0.0, 0.5] }
selection = { file = "train.tsv", part = [0.5, 1.0] }
test = { file = "test.tsv" }
"""

_SLOT: Final = re.compile(r"\{(\w+)([+-]?)\}")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class _Choice:
    """Phrases and their cumulative weights."""

    phrases: tuple[str, ...]
    cumulative: tuple[float, ...]

    def draw(self, rng: random.Random) -> str:
        """Return one phrase."""
        return rng.choices(self.phrases, cum_weights=self.cumulative)[0]


def _choice(alternatives: Iterable[str]) -> _Choice:
    """Return the alternatives of one rule with their weights."""
    phrases: list[str] = []
    weights: list[float] = []
    for rank, alternative in enumerate(alternatives):
        weight, star, phrase = alternative.strip().rpartition("*")
        phrases.append(phrase.strip())
        weights.append(float(weight) if star else 1 / (rank + 1))
    return _Choice(tuple(phrases), tuple(accumulate(weights)))


def _fit_rules() -> dict[str, list[str]]:
    """Return the rules for what suits what, written out from the table of adjectives and nouns."""
    rules: dict[str, list[str]] = {
        name: [] for name in ("fit good", "fit bad", "misfit good", "misfit bad", "noun")
    }
    for adjective, opposite, liked, spoilt in _FITS:
        for nouns, suits, spoils in ((liked, adjective, opposite), (spoilt, opposite, adjective)):
            for noun in nouns.split():
                rules["noun"].append(noun)
                rules["fit good"].append(f"{noun} {{was}} {{very}} {suits}")
                rules["fit bad"].append(f"{noun} {{was}} {{very}} {spoils}")
                rules["misfit good"].append(f"{noun} {{was}} {{not}} {spoils}")
                rules["misfit bad"].append(f"{noun} {{was}} {{not}} {suits}")
    return rules


def _names() -> list[str]:
    """Return invented names of places and people, the same ones in every corpus."""
    rng = random.Random(0)
    syllables = _SYLLABLES.split()
    return ["".join(rng.choices(syllables, k=rng.choice((2, 2, 3)))).title() for _ in range(_NAMES)]


_GRAMMAR: Final = {
    name: _choice(alternatives)
    for name, alternatives in (
        {name: text.split("|") for name, text in _RULES.items()} | _fit_rules() | {"name": _names()}
    ).items()
}
_SENTENCE: Final = _choice(f"{share}* {rule}" for share, _, rule in _SENTENCES)
_SCORES: Final = {rule: score for _, score, rule in _SENTENCES}


def write_corpus(folder: Path, *, seed: int = 0, train: int = 12_000, test: int = 1000) -> Path:
    """Write train.tsv, test.tsv and task.toml into a folder, and return the path of task.toml.

    The same arguments give the same bytes. No text occurs twice, within a file or across the two.

    Args:
        folder: Where to write; made if need be. Files of those names there are replaced.
        seed: Chooses the texts.
        train: Rows of train.tsv; the calibration split is its first half, selection its second.
        test: Rows of test.tsv.

    Raises:
        InputError: There would be a split without rows.
    """
    if train < 2 or test < 1:
        raise InputError(
            "a corpus needs at least 2 training rows and 1 test row, "
            f"found train={train} and test={test}: ask for more rows"
        )
    rows = make_rows(train + test, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    _write_rows(folder / "train.tsv", rows[:train])
    _write_rows(folder / "test.tsv", rows[train:])
    task = folder / "task.toml"
    task.write_text(_TASK, encoding="utf-8")
    return task


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file that `write_corpus` wrote."""
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [(text, label) for text, label in (line.split("\t") for line in lines[1:])]


def make_rows(count: int, *, seed: int) -> list[Row]:
    """Return that many reviews with their labels, no text twice."""
    rng = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        text, label = _review(rng)
        rows.setdefault(text, label)
    return list(rows.items())


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as tab-separated text under a header."""
    lines = ["text\tlabel", *(f"{text}\t{label}" for text, label in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _review(rng: random.Random) -> Row:
    """Return one review: sentences up to a drawn length, and whether they praise on balance."""
    attitude = rng.choice((1, -1))
    shortest, longest = _TOKENS
    target = rng.lognormvariate(_MEAN_LOG_TOKENS, _SPREAD_LOG_TOKENS)
    target = min(max(target, shortest), longest)
    sentences: list[str] = []
    tokens = score = 0
    while True:
        rule = _SENTENCE.draw(rng)
        polarity = attitude if rng.random() < _AGREEMENT else -attitude
        sentence = _spell(_expand(f"sentence {rule}", polarity, rng), rng)
        size = len(_TOKEN.findall(sentence))
        # A review that so far says nothing, or as much good as bad, has no label yet: it goes on.
        if score and tokens + size / 2 > target:
            break
        sentences.append(sentence)
        tokens += size
        score += polarity * _SCORES[rule]
    wrong = rng.random() < _WRONG_LABELS.get(abs(score), _WRONG_LABEL_OTHERWISE)
    return " ".join(sentences), LABELS[(score > 0) != wrong]


def _expand(rule: str, polarity: int, rng: random.Random) -> str:
    """Return a phrase that the grammar derives from a rule, its slots filled."""
    name = rule if rule in _GRAMMAR else f"{rule} {'good' if polarity > 0 else 'bad'}"
    return _SLOT.sub(
        lambda slot: _expand(slot[1], -polarity if slot[2] == "-" else polarity, rng),
        _GRAMMAR[name].draw(rng),
    )


def _spell(sentence: str, rng: random.Random) -> str:
    """Return a sentence with capitals, punctuation and the odd spelling mistake."""
    words = [_misspell(word) if rng.random() < _MISSPELT else word for word in sentence.split()]
    text = re.sub(r" (?=[,;])", "", " ".join(words))
    text = re.sub(r"\bi\b", "I", text)
    return text[0].upper() + text[1:] + rng.choices(".!", cum_weights=(9, 10))[0]


def _misspell(word: str) -> str:
    """Return a word with two letters in the middle exchanged; short words stay as they are."""
    middle = len(word) // 2
    if len(word) < 5:
        return word
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
