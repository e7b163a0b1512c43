"""import: snippets and files, at every place where CoreDNS takes it."""

import errno
import os

import pytest

from clusterdns.corefile import imports
from clusterdns.corefile.files import Reader
from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError
from tests.corefile.texts import reader

SERVER = ". {\n%s\n}\n"
LOG = "(s) {\n log\n}\n"

CASES = {
    "snippet": (LOG + SERVER % "import s", {}, ". {|    log|}"),
    "snippet in one line": ("(s) { log }\n" + SERVER % "import s", {}, ". {|    log|}"),
    "snippet, brace below": ("(s)\n{\n log\n}\n" + SERVER % "import s", {}, ". {|    log|}"),
    "snippet twice in one block": (
        LOG + SERVER % "import s\nimport s",
        {},
        ". {|    log|    log|}",
    ),
    "snippet in a snippet": (
        LOG + "(t) {\n import s\n errors\n}\n" + SERVER % "import t",
        {},
        ". {|    log|    errors|}",
    ),
    "snippet in a directive's block": (
        "(s) {\n class error\n}\n" + SERVER % "log {\nimport s\n}",
        {},
        ". {|    log {|        class error|    }|}",
    ),
    "snippet first in a snippet in a directive's block": (
        "(s) { class error }\n(t) {\n import s\n}\n" + SERVER % "log {\nimport t\n}",
        {},
        ". {|    log {|        class error|    }|}",
    ),
    "lines of one snippet stay lines of their own": (
        "(s) { 10.0.0.1 a }\n" + SERVER % "hosts {\nimport s\nimport s\n}",
        {},
        ". {|    hosts {|        10.0.0.1 a|        10.0.0.1 a|    }|}",
    ),
    "snippet of server blocks": ("(s) {\n. {\n log\n}\n}\nimport s", {}, ". {|    log|}"),
    "empty snippet": ("(s) { }\n" + SERVER % "import s\nlog", {}, ". {|    log|}"),
    "snippet before a file of that name": (
        LOG + SERVER % "import s",
        {"etc/s": "errors"},
        ". {|    log|}",
    ),
    "import that is an argument": (SERVER % "log import s", {}, ". {|    log import s|}"),
    "import behind the brace of a block is an option": (
        LOG + SERVER % "log { import s\n}",
        {},
        ". {|    log {|        import s|    }|}",
    ),
    "import behind the brace of a server block": (
        LOG + ". { import s\n}",
        {},
        ". {|    log|}",
    ),
    "quoted import": (LOG + SERVER % '"import" s', {}, ". {|    log|}"),
    "import by a variable is a directive": (
        LOG + SERVER % "{$IMPORT} s",
        {},
        ". {|    import s|}",
    ),
    "import by a variable at the top": ("{$IMPORT} a", {"etc/a": "x"}, "x {|}"),
    "file": (SERVER % "import a", {"etc/a": "log"}, ". {|    log|}"),
    "file by a variable": (SERVER % "import {$A}", {"etc/a": "log"}, ". {|    log|}"),
    "absolute path": (SERVER % "import /b/a", {"/b/a": "log"}, ". {|    log|}"),
    "path through ..": (SERVER % "import ../x/./a", {"x/a": "log"}, ". {|    log|}"),
    "files in the order of their names": (
        SERVER % "import c/*.override",
        {"etc/c/b.override": "log", "etc/c/a.override": "errors", "etc/c/x.server": "x {\n}"},
        ". {|    errors|    log|}",
    ),
    "one * and one ?": (SERVER % "import ?.*", {"etc/a.b": "log"}, ". {|    log|}"),
    "file imported twice": (
        SERVER % "import a\nimport a",
        {"etc/a": "log"},
        ". {|    log|    log|}",
    ),
    "relative to the importing file": (
        SERVER % "import c/a",
        {"etc/c/a": "import b", "etc/c/b": "log"},
        ". {|    log|}",
    ),
    "a snippet's import: relative to the snippet's file": (
        "import c/a\n" + SERVER % "import s",
        {"etc/c/a": "(s) {\nimport b\n}", "etc/c/b": "log"},
        ". {|    log|}",
    ),
    "a file matched beside its importer": (
        SERVER % "import c/*",
        {"etc/c/a": "import b", "etc/c/b": "log"},
        ". {|    log|    log|}",
    ),
    "server blocks at the top": (
        "import c/*.server\n" + SERVER % "log",
        {"etc/c/a.server": "a {\n}", "etc/c/b.server": "b {\n errors\n}"},
        "a {|}|b {|    errors|}|. {|    log|}",
    ),
    "server blocks at the end": ("a {\n}\nimport b", {"etc/b": "b {\n}"}, "a {|}|b {|}"),
    "keys": ("import keys\n{\n log\n}", {"etc/keys": "a b"}, "a b {|    log|}"),
    "keys behind a comma": ("a,\nimport keys\n{\n}", {"etc/keys": "b"}, "a b {|}"),
    "a file opens what its importer closes": (
        SERVER % "import a\nclass error\n}",
        {"etc/a": "log {"},
        ". {|    log {|        class error|    }|}",
    ),
    "a file closes what its importer opened": (
        ". {\nimport a\n",
        {"etc/a": "log\n}"},
        ". {|    log|}",
    ),
    "empty file": (SERVER % "import a\nlog", {"etc/a": "# nothing"}, ". {|    log|}"),
}
ENVIRON = {"IMPORT": "import", "A": "a"}


@pytest.mark.parametrize(("text", "files", "expected"), CASES.values(), ids=CASES)
def test_imported(text: str, files: dict[str, str], expected: str) -> None:
    corefile = parse(text, "etc/Corefile", ENVIRON, reader(files))
    assert str(corefile).replace("\n", "|").removesuffix("|") == expected
    assert corefile.warnings == ()


@pytest.mark.parametrize("pattern", ["custom/*.override", "/etc/x/?", "a]", "a*\\"])
def test_pattern_without_a_match_is_a_warning(pattern: str) -> None:
    corefile = parse(SERVER % f"import {pattern}\nlog", "etc/Corefile")
    assert str(corefile) == ". {\n    log\n}\n"
    warning = (
        f"etc/Corefile:2:8: No files matching import glob pattern: {pattern}: nothing imported"
    )
    assert corefile.warnings == (warning,)


NO_ACCESS = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "etc/secret")

REFUSED: dict[str, tuple[str, dict[str, str | OSError], str]] = {
    "no file": (
        SERVER % "import a",
        {},
        "etc/Corefile:2:8: the file to import is not there: etc/a",
    ),
    "snippet before it is declared": (SERVER % "import s" + LOG, {}, "etc/Corefile:2:8: the file"),
    "no name": (SERVER % "import", {}, "etc/Corefile:2:1: import needs the name"),
    "empty name": (SERVER % 'import ""', {}, "etc/Corefile:2:8: import of an empty name"),
    "unset variable": (SERVER % "import {$NO}", {}, "etc/Corefile:2:8: import of an empty name"),
    "two names": (SERVER % "import a b", {}, "etc/Corefile:2:10: import takes one file, pattern"),
    "arguments for a snippet": (LOG + SERVER % "import s x", {}, "etc/Corefile:5:10: import takes"),
    "brace": ("import a {\n}", {}, "etc/Corefile:1:10: import takes one"),
    "two *": (SERVER % "import */*", {}, "etc/Corefile:2:8: cannot import */*: a pattern may hold"),
    "two ?": (SERVER % "import ??", {}, "etc/Corefile:2:8: cannot import ??: a pattern may hold"),
    "[]": (SERVER % "import [ab]", {}, "etc/Corefile:2:8: cannot import [ab]: [ ] are not"),
    "[": (SERVER % "import [ab", {}, "etc/Corefile:2:8: cannot import [ab: [ ] are not"),
    "unreadable": (
        SERVER % "import secret",
        {"etc/secret": NO_ACCESS},
        "etc/Corefile:2:8: cannot import etc/secret: Permission denied",
    ),
    "fault in an imported file": (SERVER % "import a", {"etc/a": "log\nlog }"}, "etc/a:2:5: }"),
    "the Corefile itself": (
        SERVER % "import C*",
        {"etc/Corefile": "log"},
        "etc/Corefile:2:8: the file etc/Corefile imports itself: etc/Corefile -> etc/Corefile",
    ),
    "file in a circle": (
        SERVER % "import a",
        {"etc/a": "log\nimport b", "etc/b": "import a\nlog"},
        "etc/b:1:8: the file etc/a imports itself: etc/a -> etc/b -> etc/a",
    ),
    "snippets in a circle": (
        "(s) {\nimport t\n}\n(t) {\nimport s\n}\n" + SERVER % "import s",
        {},
        "etc/Corefile:5:8: the snippet s imports itself: s -> t -> s",
    ),
}


@pytest.mark.parametrize(("text", "files", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, files: dict[str, str | OSError], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "etc/Corefile", ENVIRON, reader(files))
    assert str(raised.value).startswith(message)


def test_reading_goes_on_behind_an_import_that_failed() -> None:
    errors: list[ConfigError] = []
    text = SERVER % "import a\nimport */*\nlog\nimport\nerrors"
    corefile = parse(text, "Corefile", errors=errors)
    assert [error.place.line for error in errors if error.place] == [2, 3, 5]
    assert str(corefile) == ". {\n    log\n    errors\n}\n"


DOUBLING = "".join(f"(s{i}) {{\nimport s{i + 1}\nimport s{i + 1}\n}}\n" for i in range(30))


def test_snippets_that_double_meet_the_limit() -> None:
    errors: list[ConfigError] = []
    parse(DOUBLING + "(s30) {\n}\n" + SERVER % "import s0", "Corefile", errors=errors)
    assert [error.message for error in errors] == ["too many snippets are imported"]


def test_files_that_double_meet_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MAX_FILES", 100)
    files = {f"f{i}": f"import f{i + 1}\nimport f{i + 1}" for i in range(30)} | {"f30": ""}
    with pytest.raises(ConfigError, match="too many files are imported"):
        parse(SERVER % "import f0", "Corefile", read=reader(files))


def test_a_file_warns_once() -> None:
    warned = parse(SERVER % "import a\nimport a", "f", {}, reader({"a": "log {$NO}"})).warnings
    assert warned == ("a:1:5: environment variable NO is not set: nothing takes its place",)


def test_a_path_that_no_system_takes() -> None:
    def refuses(pattern: str) -> list[tuple[str, str]]:
        raise ValueError("embedded null byte")

    read: Reader = refuses
    with pytest.raises(ConfigError, match="2:8: cannot import a: embedded null byte"):
        parse(SERVER % "import a", "f", read=read)
