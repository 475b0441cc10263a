"""The page of a run: what it ties together, and what it says where something is missing."""

import pandas as pd
from PIL import Image

from shelfops_pipeline.charts.index import Link, RunPage, Verdict, render_index, small_copy


def page_of(metrics: pd.DataFrame, **parts: object) -> str:
    return render_index(RunPage("shop: v1", "trained on data to 2024-03-31", metrics, **parts)).split("<body>")[1]


def test_the_gate_the_galleries_the_metrics_and_the_cards_are_on_the_page(metrics: pd.DataFrame) -> None:
    text = page_of(
        metrics,
        verdicts=[Verdict("v1", "cold_start", "champion", 1.5, "MAE 1.5 is below <b>2</b>")],
        galleries={"Charts": [Link("Tier comparison", "tier_comparison.html", b"png")], "The data": []},
        cards={"Model card of v1": "# Card\n\n| a | b |\n|---|---|\n| 1 | <b>2</b> |\n", "Model card of v2": "# Other"},
    )
    assert '<span class="badge champion">champion</span>' in text
    assert "MAE 1.5 is below &lt;b&gt;2&lt;/b&gt;" in text
    assert 'href="tier_comparison.html"' in text
    assert "The data" not in text  # an empty gallery has no heading
    assert "<td>&lt;b&gt;2&lt;/b&gt;</td>" in text  # the card's HTML is shown, not run
    assert text.count("<details open>") == text.count("<details>") == 1
    assert text.count("<tr>") == 1 + 1 + 14 + 1 + 2  # gate, metrics of two tiers with seven models, table of the card


def test_what_is_missing_is_said(metrics: pd.DataFrame) -> None:
    text = page_of(metrics.iloc[:0])
    for words in ("no version is registered", "none was drawn", "the run had no backtest"):
        assert words in text


def test_pictures_are_made_small_and_absent_ones_are_none(tmp_path) -> None:  # type: ignore[no-untyped-def]
    large = tmp_path / "large.png"
    Image.effect_noise((2400, 1600), 60).save(large)
    small = small_copy(large)
    assert small is not None
    assert len(small) < large.stat().st_size / 5
    assert small_copy(tmp_path / "absent.png") is None
