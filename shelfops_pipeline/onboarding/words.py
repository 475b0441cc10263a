"""What columns and files are called, in seven languages, and how well a name fits a meaning."""

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml


class Meaning(StrEnum):
    """What a column may hold."""

    DATE = "date"
    UNTIL = "until"
    PERIOD = "period"
    STORE = "store"
    ITEM = "item"
    UNITS = "units"
    REVENUE = "revenue"
    SALES = "sales"
    PRICE = "price"
    PROMOTION = "promotion"
    DISCOUNT = "discount"
    TICKET = "ticket"
    OPEN = "open"
    CUSTOMERS = "customers"
    ON_HAND = "on hand"
    ON_ORDER = "on order"
    LEAD_TIME = "lead time"
    LEAD_TIME_SD = "spread of the lead time"
    SUPPLIER = "supplier"
    ORDER_DAYS = "order days"
    CUTOFF = "cut-off"
    COST = "cost"
    CASE_PACK = "case pack"
    MINIMUM_ORDER = "minimum order"
    SHELF_LIFE = "shelf life"
    CATEGORY = "category"
    LABEL = "label"
    HOLIDAY = "holiday"
    KIND = "kind"
    COUNTRY = "country"
    REGION = "region"
    CITY = "city"
    CURRENCY = "currency"


LEAST_FIT: Final = 0.55
"""Below this a name says nothing."""
LONGEST_NAME: Final = 40
"""Characters of a name in a mapping."""
_IDS: Final = frozenset((Meaning.STORE, Meaning.ITEM, Meaning.TICKET, Meaning.SUPPLIER))
_SUFFIXES: Final = ("nummer", "nr", "id", "code", "no", "nbr", "key", "num")
_BESIDE: Final = {Meaning.ON_HAND: "pieces", Meaning.ON_ORDER: "pieces", Meaning.COST: "prices"}
"""Lists of words that leave a meaning as it is: `Bestand Stk` is a stock."""
_SHORTEST_PART: Final = 4
_PLURALS: Final = ("s", "n", "en", "es")
_LETTERS: Final = str.maketrans(dict(zip("ßøæœł", ("ss", "o", "a", "o", "l"), strict=True)))


@lru_cache(maxsize=4096)
def tokens(name: str) -> tuple[str, ...]:
    """The words of a name, without case, accents and separators; ae, oe and ue count as the umlauts' base letters."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    folded = spaced.lower().translate(_LETTERS)
    plain = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    return tuple(re.sub(r"([aou])e", r"\1", word) for word in re.findall(r"[a-z]+", plain))


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("vocabulary.yaml").read_text("utf-8"))
    return content


@lru_cache(maxsize=1)
def _phrases() -> dict[Meaning, tuple[tuple[str, ...], ...]]:
    return {
        meaning: tuple(dict.fromkeys(tokens(phrase.replace("_", " ")) for phrase in text.split()))
        for meaning, text in ((Meaning[name.upper()], text) for name, text in _vocabulary()["columns"].items())
    }


@lru_cache(maxsize=8)
def listed(name: str) -> dict[str, frozenset[str]]:
    """A list of the vocabulary by key, its phrases folded as `_`.join(tokens(...)) folds them."""
    lists: dict[str, str] = _vocabulary()[name]
    return {key: frozenset("_".join(tokens(p.replace("_", " "))) for p in text.split()) for key, text in lists.items()}


@lru_cache(maxsize=16)
def _words(*path: str) -> frozenset[str]:
    """The words of a list of the vocabulary, one by one."""
    text: Any = _vocabulary()
    for name in path:
        text = text[name]
    return frozenset(word for phrase in text.split() for word in tokens(phrase))


@lru_cache(maxsize=8192)
def name_fit(name: str, meaning: Meaning) -> float:
    """How well a column's name fits a meaning, 0 to 1."""
    words = tokens(name)
    if not words:
        return 0.0
    beside = _words("neutral") | (_words(_BESIDE[meaning]) if meaning in _BESIDE else frozenset())
    bare = tuple(word for word in words if word not in _words("joints"))
    best = max(
        max(_phrase_fit(words, phrase, beside), _phrase_fit(bare, phrase, beside), _joined_fit(words, phrase))
        for phrase in _phrases()[meaning]
    )
    if meaning in _IDS and _words("attributes").intersection(words):
        best *= 0.4  # store_type is a store's attribute
    elif meaning in _IDS and not any(word.endswith(_SUFFIXES) for word in words):
        best *= 0.98  # `Artikel` may be the name beside `Artikelnummer`
    return best


def name_fits(name: str) -> dict[Meaning, float]:
    """Every meaning that a name fits at all."""
    return {meaning: fit for meaning in Meaning if (fit := name_fit(name, meaning)) > 0}


def slug(name: str) -> str:
    """A name of small letters, digits and _ for a column of any name."""
    folded = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().translate(_LETTERS))
    plain = re.sub(r"[^a-z0-9]+", "_", folded.encode("ascii", "ignore").decode()).strip("_")
    return (plain if plain[:1].isalpha() else f"x_{plain}".rstrip("_"))[:LONGEST_NAME]


def is_about(name: str, topic: str) -> bool:
    """Does a name contain a word of that topic (sales, other, items, stores), alone or at an end of a compound?"""
    words = _words("files", topic)
    return any(
        t in words or any(len(w) > 4 and (t.startswith(w) or t.endswith(w)) for w in words) for t in tokens(name)
    )


def is_promotion_price(name: str) -> bool:
    """Is a price called that of a promotion: Aktionspreis, prix promo, sale price?"""
    if name_fit(name, Meaning.PRICE) < LEAST_FIT:
        return False
    words = tokens(name)
    text = _vocabulary()["promotion_prices"].split()
    phrases = [tokens(phrase.replace("_", " ")) for phrase in text]
    special = any(words[n : n + len(p)] == p for p in phrases for n in range(len(words)))
    return special or name_fit(name, Meaning.PROMOTION) >= LEAST_FIT


def says_only(name: str, words: str) -> bool:
    """Is a name made of one of the words of a list (pieces), and neutral ones?"""
    told = set(tokens(name)) - _words("neutral")
    return bool(told) and told <= _words(words)


def _joined_fit(words: tuple[str, ...], phrase: tuple[str, ...]) -> float:
    """`EK-Preis` is an ekpreis, and no preis of a kind."""
    pairs = ["".join(words[n : n + 2]) for n in range(len(words) - 1)]
    if len(phrase) > 1 or phrase[0] not in pairs:
        return 0.0
    at = pairs.index(phrase[0])
    covered = 2 + sum(word in _words("neutral") for word in words[:at] + words[at + 2 :])
    return 0.5 + 0.5 * covered / len(words)


def _phrase_fit(words: tuple[str, ...], phrase: tuple[str, ...], beside: frozenset[str]) -> float:
    """How well the words hold the phrase; those of `beside` say nothing else."""
    best = 0.0
    for start in range(len(words) - len(phrase) + 1):
        fits = [_word_fit(word, part) for word, part in zip(words[start:], phrase, strict=False)]
        rest = words[:start] + words[start + len(phrase) :]
        covered = len(phrase) + sum(word in beside for word in rest)
        best = max(best, min(fits) * (0.5 + 0.5 * covered / len(words)))
    return best


@lru_cache(maxsize=65536)
def _word_fit(word: str, part: str) -> float:
    """1 for the word itself; less where it is part of a compound: the head of a German compound is its end."""
    if word == part:
        return 1.0
    for plural in _PLURALS:
        if len(part) >= _SHORTEST_PART and word == part + plural:
            return 0.97
    if word in {part + suffix for suffix in _SUFFIXES} and len(part) > 1:
        return 1.0
    if len(part) < _SHORTEST_PART:
        return 0.0
    if word.endswith(part):
        return 0.88
    if any(word.endswith(s) and part in word[: -len(s)] and len(part) > _SHORTEST_PART for s in _SUFFIXES):
        return 0.85 if word.startswith(part) else 0.7
    return 0.6 if word.startswith(part) else 0.0
