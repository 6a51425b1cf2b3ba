import re

from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.finder import Finder, PatternList, TextSet

texts = st.lists(st.text(alphabet="ab.(|\\ä", min_size=1, max_size=4), min_size=1, max_size=6)
lines = st.text(alphabet="ab.(|\\ä\n", max_size=40)


@given(texts=texts, line=lines, start=st.integers(0, 45))
def test_the_first_of_any_text_is_found(texts: list[str], line: str, start: int) -> None:
    data = line.encode()
    places = [place for text in texts if (place := data.find(text.encode(), start)) >= 0]
    assert Finder(texts).search(data, start) == min(places, default=-1)
    found = Finder(texts).first_text(data, start)
    assert (None if found is None else found[0]) == min(places, default=None)
    if found is not None:
        assert found[1].decode() in texts


@given(texts=texts, line=lines)
def test_places_are_those_of_a_search_from_left_to_right(texts: list[str], line: str) -> None:
    data = line.encode()
    pattern = re.compile(b"|".join(re.escape(text.encode()) for text in sorted(set(texts))))
    assert list(Finder(texts).positions(data)) == [match.start() for match in pattern.finditer(data)]


@given(texts=texts, line=lines)
def test_all_texts_of_a_line_are_known(texts: list[str], line: str) -> None:
    assert sorted(TextSet(texts).found_in(line)) == [place for place, text in enumerate(texts) if text in line]


def test_nothing_is_found_where_nothing_is_looked_for() -> None:
    assert Finder([]).search(b"text") == -1
    assert Finder([]).first_text(b"text") is None
    assert list(Finder([]).positions(b"text")) == []
    assert TextSet([]).found_in("text") == ()


def test_a_line_with_half_a_character_is_searched() -> None:
    assert list(TextSet(["kettle"]).found_in("\ud800 kettle \udfff")) == [0]
    assert PatternList([r"kettle.*"]).search("\ud800 kettle \udfff") == (0, "kettle ?")


def test_the_first_pattern_that_fits_counts_wherever_it_fits() -> None:
    patterns = PatternList([r"late\b.*", r"early \w+", r"^$"])
    assert patterns.search("early one, late two") == (0, "late two")
    assert patterns.search("early one") == (1, "early one")
    assert patterns.search("") == (2, "")
    assert patterns.search("neither") is None
