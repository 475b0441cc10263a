"""Reading CSV files: line numbers, encodings, and one clear line for every kind of damage."""

import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest

from shelfops_pipeline.data.sources.files import Kind, find_file, line_numbers, read_csv, read_csv_blocks
from shelfops_pipeline.errors import DataError

KINDS: dict[str, Kind] = {"day": "date", "store": "id", "sold": "number"}
GOOD = "day,store,sold,extra\n2020-01-01,1,5,x\n2020-01-02, 1 ,,y\n2020-01-03,,2.5,z\n"


def put(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_csv(path, KINDS, lines=True)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    return text


def test_ids_are_stripped_and_missing_values_stay_missing(tmp_path: Path) -> None:
    frame = read_csv(put(tmp_path, GOOD), KINDS, lines=True)
    assert list(frame["store"].cat.categories) == ["1"]
    assert frame["store"].isna().tolist() == [False, False, True]
    assert frame["sold"].isna().tolist() == [False, True, False]
    assert frame["line"].tolist() == [2, 3, 4]
    assert frame["source"].unique().tolist() == ["t.csv"]


def test_an_id_called_na_is_an_id(tmp_path: Path) -> None:
    frame = read_csv(put(tmp_path, GOOD.replace(" 1 ", "NA")), KINDS)
    assert "NA" in frame["store"].cat.categories


def test_latin1_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(GOOD.replace("x", "Güte £").replace(" 1 ", "Köln").encode("latin-1"))
    assert "Köln" in read_csv(path, KINDS)["store"].cat.categories


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(read_csv(path, KINDS)) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_line_numbers_equal_those_of_a_csv_reader(end: str, final: bool) -> None:
    rows = ["a,b", '1,"two', 'lines"', "", "2,plain", '3,"said ""so"""', "", '"4",""', "5,x"]
    text = end.join(rows) + (end if final else "")
    reader = csv.reader(io.StringIO(text, newline=""))
    last, expected = 0, []
    for row in reader:
        if row:
            expected.append(last + 1)
        last = reader.line_num
    numbers = line_numbers(text.encode(), len(expected) - 1)
    assert numbers.tolist() == expected[1:]


def test_missing_column_names_file_column_and_what_is_there(tmp_path: Path) -> None:
    text = complaint(put(tmp_path, GOOD.replace("sold", "verkauft")))
    assert "column sold is missing" in text
    assert "verkauft" in text


@pytest.mark.parametrize("value", ["2020-13-01", "yesterday", "9999-12-31", ""])
def test_unreadable_date_names_column_line_and_value(tmp_path: Path, value: str) -> None:
    text = complaint(put(tmp_path, GOOD.replace("2020-01-02", value)))
    assert "column day, line 3: unreadable date" in text
    assert f"'{value}'" in text


def test_text_for_a_number_names_column_line_and_value(tmp_path: Path) -> None:
    text = complaint(put(tmp_path, GOOD.replace("2.5", "two")))
    assert "column sold, line 4: a number is expected, found 'two'" in text


def test_the_line_of_a_defect_counts_line_breaks_inside_quotes(tmp_path: Path) -> None:
    text = complaint(put(tmp_path, GOOD.replace("x\n", '"x\nx"\n\n').replace("2.5", "two")))
    assert "line 6" in text


def test_ragged_row_names_its_line(tmp_path: Path) -> None:
    assert "line 3: 4 columns expected, 3 found" in complaint(put(tmp_path, GOOD.replace(" 1 ,,y", "1,5")))


@pytest.mark.parametrize(("content", "what"), [("", "empty"), ("\n\n", "empty"), ("day,store,sold\n", "no rows")])
def test_empty_files_are_named(tmp_path: Path, content: str, what: str) -> None:
    assert what in complaint(put(tmp_path, content))


def test_column_named_twice_is_refused(tmp_path: Path) -> None:
    assert "appears more than once" in complaint(put(tmp_path, GOOD.replace("extra", "sold")))


def test_damaged_gzip_is_told_in_one_line(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD.encode() * 50)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in complaint(path)
    path.write_bytes(GOOD.encode())
    assert "not a valid gzip file" in complaint(path)
    path.write_bytes(whole[:20] + b"\xff\xff\xff" + whole[23:])
    assert "gzip" in complaint(path)
    path.write_bytes(b"")
    complaint(path)


def test_binary_rubbish_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(bytes(range(256)) * 4)
    assert path.name in complaint(path)


def test_missing_folder_and_file_say_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data DIR.*Kaggle: X"):
        find_file(None, ["t.csv"], "Kaggle: X")
    with pytest.raises(DataError, match="is not a folder"):
        find_file(tmp_path / "nowhere", ["t.csv"], "Kaggle: X")
    with pytest.raises(DataError, match=r"t\.csv or u\.csv \(plain or \.gz\) not found in .*Kaggle: X"):
        find_file(tmp_path, ["t.csv", "u.csv"], "Kaggle: X")


@pytest.mark.parametrize("block", [1, 7, 50, 10_000])
@pytest.mark.parametrize("gz", [False, True])
def test_a_file_in_blocks_reads_as_the_whole(tmp_path: Path, block: int, gz: bool) -> None:
    text = "id,n\n" + "".join(f'"a{i}, ""x""\nsecond line",{i}\nb{i},{-i}\n' for i in range(40))
    path = tmp_path / ("t.csv.gz" if gz else "t.csv")
    path.write_bytes(gzip.compress(text.encode()) if gz else text.encode())
    kinds: dict[str, Kind] = {"id": "text", "n": "number"}
    whole = read_csv(path, kinds, lines=True)
    parts = list(read_csv_blocks(path, kinds, lines=True, block=block))
    assert len(whole) == 80
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), whole, check_categorical=False, check_dtype=False
    )
    assert len(parts) > 1 or block > len(text)


def test_a_truncated_file_in_blocks_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"id,n\n" + b"a,1\n" * 50_000)[:-40])
    with pytest.raises(DataError, match=r"t\.csv\.gz: the gzip file is truncated"):
        list(read_csv_blocks(path, {"id": "text", "n": "number"}, block=1000))
