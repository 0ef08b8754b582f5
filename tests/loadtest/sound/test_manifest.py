"""A table beside the recordings says what is said in them; a mistake in it is one line with its place."""

import json
import unicodedata
from pathlib import Path

import pytest

from loadtest.config.clips.microphone import remarks
from loadtest.config.keys.scenario import Conversation, Say, Scenario
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.recordings import recordings
from loadtest.sound.sources import corpus
from tests.loadtest.sound.test_speech import tone, wav


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        wav(path / name, tone(5_000, 4_800))
    return path


def told(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        recordings(str(path))
    return [problem.replace(f"{path}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.csv", "file,text,language\na.wav,\"Hello, you\",en\nb.wav,Hallo,de-AT\n"),
        ("manifest.csv", "\ufeffFile;Text;Language\r\na.wav;Hello, you;en\r\n\r\nb.wav;Hallo;de-AT\r\n"),
        ("metadata.csv", "file_name|transcription|lang|id|speaker\na.wav|Hello, you|en||7\nb.wav|Hallo|de-AT||8\n"),
        ("manifest.tsv", "client_id\tpath\tsentence\tup_votes\tage\tlocale\nx\ta.wav\tHello, you\t2\t\ten\n"
                         "x\tb.wav\tHallo\t2\t\tde-AT\n"),
        ("manifest.jsonl", '{"audio_filepath": "a.wav", "duration": 0.2, "text": "Hello, you", "lang": "en"}\n\n'
                           '{"audio_filepath": "./b.wav", "duration": 0.2, "text": "Hallo", "lang": "de-AT"}\n'),
    ],
)  # fmt: skip
def test_tables_as_people_have_them_say_the_same(name: str, content: str, tmp_path: Path) -> None:
    folder(tmp_path, "a.wav", "b.wav")
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    said = [(clip.name, clip.text, clip.language) for clip in corpus(str(tmp_path))]
    assert said == [("a.wav", "Hello, you", "en"), ("b.wav", "Hallo", "de-AT")]


def test_a_quote_in_a_tab_separated_table_is_a_sign_like_any_other(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav", "b.wav")
    (tmp_path / "manifest.tsv").write_text('file\ttext\na.wav\t"Hello" he said\nb.wav\tfive 7" pipes\n')
    assert [each.text for each in recordings(str(tmp_path))] == ['"Hello" he said', 'five 7" pipes']


def test_an_id_that_several_files_have_hides_none_of_them(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav", "calls/a.wav", "b.wav")
    (tmp_path / "manifest.csv").write_text("id,file,text\n7,a.wav,\n7,calls/a.wav,\n8,b.wav,\n")
    assert [each.name for each in recordings(str(tmp_path))] == ["7 (a.wav)", "8", "7 (calls/a.wav)"]


def test_files_may_lie_deeper_and_be_spelt_as_windows_does(tmp_path: Path) -> None:
    folder(tmp_path, "calls/a.wav", "b.wav")
    (tmp_path / "manifest.csv").write_text("file,text,id\ncalls\\a.wav,x,greeting\nb.wav,,\n")
    found = [(each.name, each.text, each.path) for each in recordings(str(tmp_path))]
    assert found == [("b.wav", None, tmp_path / "b.wav"), ("greeting", "x", tmp_path / "calls" / "a.wav")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("file,text\na.wav,x\nbb.wav,x\n", "manifest.csv:3: bb.wav: no such file (did you mean b.wav?)"),
        ("file,text\na.wav,x\n./a.wav,y\n", "manifest.csv:3: ./a.wav: named on line 2 already"),
        ("file,text\na.wav,x\n../b.wav,y\n", "manifest.csv:3: ../b.wav: lies outside of"),
        ("file,text\na.wav,x\n/etc/passwd,y\n", "manifest.csv:3: /etc/passwd: lies outside of"),
        ("file,text\na.wav,x\n,y\n", "manifest.csv:3: names no file"),
        ("fiel,text\na.wav,x\n", "manifest.csv:1: no column file (is it fiel?); the columns are file, text and"),
        ("file,txt\na.wav,x\n", "manifest.csv:1: no column text (is it txt?); the columns are file, text and"),
        ("file,text,langauge\na.wav,x,de\n", "manifest.csv:1: no column language (is it langauge?)"),
        ("file,text,path\na.wav,x,a.wav\n", "manifest.csv:1: file and path: both would be the file; keep one"),
        ("a.wav,Hello\nb.wav,Hallo\n", "manifest.csv:1: no column file; the columns are file, text and"),
        ("file,text\na.wav,Hello, you\n", "manifest.csv:2: 3 cells, but 2 columns; a cell with ',' in it is put in"),
        ('file,text\na.wav,"Hello\n', "manifest.csv:2: can't be read as a table (unexpected end of data)"),
        ("file,text,language\na.wav,x,german\n", "manifest.csv:2: 'german' is no tag of a language (did you mean de?)"),
        ("file,text,language\na.wav,x,?\n", "manifest.csv:2: '?' is no tag of a language, like de"),
        (f"file,text\na.wav,{'x' * 2001}\n", "manifest.csv:2: a text of 2,001 signs; a clip is what somebody says"),
        ("file,text\n", "manifest.csv: names no file"),
        (" \n", "manifest.csv: empty; the columns are file, text and, if you like, language and id"),
        ("file,text\na.wav,x\0\n", "manifest.csv: holds a zero byte, so it is no text"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(content: str, says: str, tmp_path: Path) -> None:
    folder(tmp_path, "a.wav", "b.wav")
    (tmp_path / "manifest.csv").write_text(content)
    problems = told(tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith(says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("file,text\na.wav,Öl\n".encode("latin-1"), "manifest.csv:2: not UTF-8; save it as UTF-8"),
        ("file,text\na.wav,x\n".encode("utf-16"), "manifest.csv: UTF-16; save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "manifest.csv:1: not UTF-8; save it as UTF-8"),
    ],
)
def test_what_is_no_utf_8_is_said(content: bytes, says: str, tmp_path: Path) -> None:
    folder(tmp_path, "a.wav")
    (tmp_path / "manifest.csv").write_bytes(content)
    assert told(tmp_path) == [says]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"file": "a.wav", "text": "x"}\n[1]\n', "manifest.jsonl:2: not an object; one a line is needed"),
        ('{"file": "a.wav", "text": "x"\n', "manifest.jsonl:1: not JSON; one object a line is needed"),
        ('{"file": "a.wav", "text": 7}\n', "manifest.jsonl:1: text: not a text"),
        ('{"file": ["a.wav"], "text": "x"}\n', "manifest.jsonl:1: file: not a text"),
        ('{"file": "a.wav", "words": "x"}\n', "manifest.jsonl:1: no column text; the columns are file, text and, if"
                                              " you like, language and id"),
        (f"{'[' * 100_000}\n", "manifest.jsonl:1: not JSON; one object a line is needed"),
    ],
)  # fmt: skip
def test_a_mistake_in_json_lines_is_one_line_with_its_place(content: str, says: str, tmp_path: Path) -> None:
    folder(tmp_path, "a.wav")
    (tmp_path / "manifest.jsonl").write_text(content)
    assert told(tmp_path) == [says]


def test_ten_thousand_rows_are_read_and_the_same_mistake_in_all_of_them_is_one_line(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav")
    rows = [json.dumps({"file": f"{number:05}.wav", "text": "x"}) for number in range(10_000)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(rows))
    assert told(tmp_path) == ["manifest.jsonl:1: 00000.wav: no such file (and 9,999 more lines like this)"]
    for number in range(10_000):
        (tmp_path / f"{number:05}.wav").touch()
    assert len(recordings(str(tmp_path))) == 10_000


def test_two_tables_are_one_too_many(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav")
    (tmp_path / "manifest.csv").write_text("file,text\na.wav,x\n")
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.wav", "text": "x"}\n')
    with pytest.raises(ConfigError, match=r"manifest\.csv and metadata\.jsonl: which of them is meant\? Keep one"):
        recordings(str(tmp_path))


def test_a_name_for_a_terminal_holds_no_order_to_it(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav")
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"file": "a.wav", "text": "x\x1b[2J\ny", "id": "\x07a\u2028"}))
    (found,) = recordings(str(tmp_path))
    assert (found.name, found.text) == ("a", "x[2J y")


def test_a_name_of_composed_letters_is_found_as_it_is_written(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFC", "grüße.wav")
    folder(tmp_path, name)
    (tmp_path / "manifest.csv").write_text(f"file,text\n{unicodedata.normalize('NFD', name)},x\n", encoding="utf-8")
    assert [each.path.name for each in recordings(str(tmp_path))] == [name]


def test_files_that_the_table_does_not_name_are_told_before_the_run(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav", "b.wav", "c.wav", "._a.wav")
    (tmp_path / "manifest.csv").write_text("file,text\na.wav,x\n")
    scenario = Scenario(name="s", realtime={}, conversation=Conversation(turns=(Say(clip=str(tmp_path)),)))
    assert remarks((scenario,)) == [
        f"s: {tmp_path}: 2 files, b.wav for example, are not in its manifest, and not spoken"
    ]
