"""Blocks, keys, directives. The cases were run through CoreDNS 1.14.7, which takes the same."""

from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings

from clusterdns.corefile.keys import server_keys
from clusterdns.corefile.parser import MAX_DEPTH, Corefile, Directive, ServerBlock, load, parse
from clusterdns.errors import ConfigError, Place
from tests.corefile.texts import TEXTS, reader


def block(keys: str, *lines: str) -> str:
    """One server block as str(Corefile) has it."""
    return "\n".join([f"{keys} {{", *[f"    {line}" for line in lines], "}", ""])


CASES = {
    "braces": (". {\n log\n}", block(".", "log")),
    "brace on the next line": (".\n{\n log\n}", block(".", "log")),
    "first directive on the line of the brace": (". { log\n}", block(".", "log")),
    "empty block": (". { }", block(".")),
    "two blocks": ("a {\n}\nb {\n}", block("a") + block("b")),
    "no braces": (".:53\nlog a\nerrors", block(".:53", "log a", "errors")),
    "no braces, directive with a block": (
        ".\nlog {\n class error\n}",
        block(".", "log {", "    class error", "}"),
    ),
    "key alone": (".:53", block(".:53")),
    "several keys": ("a b:53 tls://c {\n}", block("a b:53 tls://c")),
    "commas": ("a, b c, {$D}\n{\n}", block("a b c d")),
    "comma continues the line": ("a,\n b,\n\n c {\n}", block("a b c")),
    "arguments": ('. {\n log "a b" c\n}', block(".", 'log "a b" c')),
    "directive block": (
        ". {\n log a {\n  class error\n  x\n }\n}",
        block(".", "log a {", "    class error", "    x", "}"),
    ),
    "option on the line of the brace": (
        ". {\n log { class error\n }\n}",
        block(".", "log {", "    class error", "}"),
    ),
    "empty directive block": (". {\n errors { }\n}", block(".", "errors {", "}")),
    "braces without space are an argument": (". {\n errors {}\n}", block(".", "errors {}")),
    "block in one line: the brace is an argument": (
        ". {\n cache 30 { keepttl }\n log\n}",
        block(".", "cache 30 {", "    keepttl }", "log"),
    ),
    "block closed on its last line": (
        ". {\n cache {\n  keepttl }\n log\n}",
        block(".", "cache {", "    keepttl }", "log"),
    ),
    "block in a block": (
        ". {\n a {\n  b c {\n   d\n  }\n  e\n }\n}",
        block(".", "a {", "    b c {", "        d", "    }", "    e", "}"),
    ),
    "blocks in one line": (
        ". {\n a { b { c } }\n d\n}",
        block(".", "a {", "    b {", "        c } }", "d"),
    ),
    "brace at the start of an option": (
        ". {\n a {\n  {\n   b\n  }\n }\n}",
        block(".", "a {", "    {", "        b", "    }", "}"),
    ),
    "same directive twice": (". {\n log\n errors\n log a\n}", block(".", "log", "errors", "log a")),
    "variables": ("{$D}:{$P} {\n {$L} {$D}\n}", block("d:53", "log d")),
}
ENVIRON = {"D": "d", "P": "53", "L": "log", "IMPORT": "import", "CLOSE": "}", "EMPTY": ""}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_accepted(text: str, expected: str) -> None:
    corefile = parse(text, "Corefile", ENVIRON)
    assert (str(corefile), corefile.warnings) == (expected, ())


ODD = {
    "nothing but comments: CoreDNS' own default": (
        "# nothing\n",
        block(".", "whoami", "log"),
        "1:1: no server block: `whoami` and `log` are served for .",
    ),
    "7.5-26 non-ASCII key": (
        "é.example {\n}",
        block("é.example"),
        "1:1: é.example has signs that are rare in names, and is served as a zone",
    ),
    "7.5-26 unknown scheme": (
        "foo://. {\n}",
        block("foo://."),
        "1:1: foo:// is no scheme: foo://. is served as a zone",
    ),
    "7.5-26 prefix that is too long": (
        "10.0.0.0/40 {\n}",
        block("10.0.0.0/40"),
        "1:1: 10.0.0.0/40 is no CIDR: it is served as a zone",
    ),
    "7.5-26 lone }": (
        ". {\n}\n}",
        block(".") + block("}"),
        "3:1: this } closes nothing: it is served as a zone",
    ),
    "7.5-27 text behind a closing brace": (
        ". {\n} x",
        block(".") + block("x"),
        "2:3: 'x' behind a brace opens another server block",
    ),
    "7.5-28 block of a directive without options": (
        ". {\n reload 10s { x }\n} # y",
        block(".", "reload 10s {", "    x }"),
        None,
    ),
    "comma without a space": (
        "a,b {\n}",
        block("a,b"),
        "1:1: a comma without white space behind it separates nothing: a,b is one zone",
    ),
    "no key": (
        "{\n log\n}\n. {\n}",
        block("."),
        "1:1: a server block without a key is passed over",
    ),
    "empty key behind a comma": (
        "a,\n{$EMPTY}\nb {\n}",
        block("a b"),
        "2:1: an empty key is passed over",
    ),
    "empty key": ('"" a {\n}', block("a"), "1:1: an empty key is passed over"),
    "snippet name that is a zone": (
        "(x)",
        block("(x)"),
        "1:1: (x) has signs that are rare in names, and is served as a zone",
    ),
    "} without {": (
        "a\nlog\n}\nb {\n}",
        block("a", "log") + block("b"),
        "3:1: } without a { ends this server block",
    ),
    "text behind a directive's block": (
        ". {\n log {\n  class error\n } b c\n}",
        block(".", "log {", "    class error", "}", "log c"),
        "4:4: 'b' behind a brace counts as another log",
    ),
    "brace below its directive": (
        ". {\n log a\n {\n  class error\n }\n errors\n}",
        block(".", "log a", "log", "log error", "errors"),
        "3:2: this { is not on the line of log: each line counts as another one",
    ),
    "no end, but a } is the last word": (
        ". {\n log {\n  class error\n }\n",
        block(".", "log {", "    class error", "}"),
        "1:3: this { of a server block is never closed",
    ),
    "quoted brace": (
        '. "{"\n log\n}',
        block(".", "log"),
        "1:3: a brace opens or closes a block in quotes too",
    ),
}


@pytest.mark.parametrize(("text", "expected", "warning"), ODD.values(), ids=ODD)
def test_accepted_with_a_warning(text: str, expected: str, warning: str | None) -> None:
    corefile = parse(text, "Corefile", ENVIRON)
    assert str(corefile) == expected
    assert corefile.warnings == ((f"Corefile:{warning}",) if warning else ())


REFUSED = {
    "block in one line": (". { log }", "1:9: } must stand on a line of its own"),
    "} behind a directive": (". {\n log }\n}", "2:6: } must stand on a line of its own"),
    "one } too many behind a block": (
        ". {\n log {\n  a\n } }\n}",
        "4:4: } must stand on a line of its own",
    ),
    "one } too many behind an option": (
        ". {\n log {\n  a } }\n}",
        "3:7: } must stand on a line of its own",
    ),
    "no }": (". {\n log\n", "1:3: this { of a server block is never closed"),
    "no } of a directive": (". {\n log {\n  a\n", "2:6: this { is never closed"),
    "{ first in a block": (". {\n {\n  a\n }\n}", "2:2: a { must stand on the line of what it"),
    "{ behind }": (". {\n log {\n  a } {\n }\n}", "3:7: a { behind a } on one line"),
    "comma before the brace": ("a, {\n}", "1:1: a key must follow the comma"),
    "comma alone": ("a , b {\n}", "1:3: a comma needs a key before it"),
    "comma at the end": ("a b,", "1:3: a key must follow the comma"),
    "too deep": (". {" + "\na {" * (MAX_DEPTH + 1), f"{MAX_DEPTH + 2}:3: more than {MAX_DEPTH} b"),
    "snippet without a brace": ("(s)\nlog\n", "1:1: the snippet s needs a {"),
    "snippet without an end": ("(s) {\n log {\n }\n", "1:5: this { is never closed"),
    "snippet twice": ("(s) {\n}\n(s) {\n}", "3:1: the snippet s is declared twice"),
    "snippet in itself, never used": (
        "(s) {\n a\n import s\n}",
        "3:2: the snippet s imports itself",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "Corefile")
    assert str(raised.value).startswith(f"Corefile:{message}")


def test_no_end_and_an_import_of_nothing_behind_the_last_brace() -> None:
    corefile = parse(". {\n log {\n }\nimport *", "Corefile")
    assert str(corefile) == block(".", "log {", "}")
    assert [warning.split(": ")[0] for warning in corefile.warnings] == [
        "Corefile:4:8",
        "Corefile:1:3",
    ]


def test_every_fault_is_gathered() -> None:
    text = """\
a, {
    log }
}
b {
    import missing
}
c { log }
d {
    errors
"""
    errors: list[ConfigError] = []
    corefile = parse(text, "Corefile", errors=errors)
    assert [str(error).split(":", 1)[1] for error in errors] == [
        "1:1: a key must follow the comma",
        "2:9: } must stand on a line of its own, and close a {",
        "5:12: the file to import is not there: missing",
        "7:9: } must stand on a line of its own, and close a {",
        "8:3: this { of a server block is never closed",
    ]
    assert [keys.text for block in corefile.blocks for keys in block.keys] == ["a", "b", "c", "d"]


def test_gathering_ends_where_going_on_makes_no_sense() -> None:
    errors: list[ConfigError] = []
    corefile = parse("a {\n}\n. {" + "\na {" * 100, "Corefile", errors=errors)
    assert [error.message for error in errors] == [f"more than {MAX_DEPTH} blocks in one another"]
    assert str(corefile) == block("a")


def test_the_tree_holds_tokens_with_their_places() -> None:
    (server_block,) = parse(". a {\n log x {\n  class error\n }\n errors\n}", "f").blocks
    log, errors = server_block.directives
    assert [key.place for key in server_block.keys] == [Place("f", 1, 1), Place("f", 1, 3)]
    assert (log.name.place, log.arguments[0].place) == (Place("f", 2, 2), Place("f", 2, 6))
    assert log.block is not None
    assert log.block[0].arguments[0].place == Place("f", 3, 9)
    assert (errors.arguments, errors.block) == ((), None)


def test_meaning_does_not_depend_on_where_the_words_stand() -> None:
    one = parse("(s) {\n log\n}\n. {\n import s # twice\n errors\n}", "f")
    other = parse("\n.\n{\n\n {$L}\n errors }" + "\n", "g", ENVIRON, errors=[])
    assert str(one) == str(parse('"." {\n log\n\n errors\n}', "g")).replace('"', "")
    assert str(one) == str(other)
    assert str(one) != str(parse(". {\n errors\n log\n}", "f"))


def texts_of(directives: tuple[Directive, ...] | None) -> object:
    if directives is None:
        return None
    return [
        (line.name.text, [word.text for word in line.arguments], texts_of(line.block))
        for line in directives
    ]


def tree(corefile: Corefile) -> object:
    """The words of the tree, without places."""

    def words(server_block: ServerBlock) -> object:
        return [key.text for key in server_block.keys], texts_of(server_block.directives)

    return [words(server_block) for server_block in corefile.blocks]


FILES = reader({"a.conf": "log {\n", "x": "import s\n(s) {\nimport x\n}", "s": "import *.conf\n}"})


@settings(max_examples=300)
@given(TEXTS)
@example("(s) {\nimport t\nimport t\n}\n(t) {\nimport s\nimport s\n}\nimport s")
@example(". {\n a {\n b { c } }\n}")
def test_any_text_is_a_corefile_or_a_config_error_with_a_place(text: str) -> None:
    errors: list[ConfigError] = []
    gathered = parse(text, "Corefile", {"A": "{$B} }", "B": ""}, FILES, errors)
    assert all(error.place is not None for error in errors)
    if errors:
        with pytest.raises(ConfigError) as raised:
            parse(text, "Corefile", {"A": "{$B} }", "B": ""}, FILES)
        assert str(raised.value) == str(errors[0])
    else:
        assert parse(text, "Corefile", {"A": "{$B} }", "B": ""}, FILES) == gathered
    faults: list[ConfigError] = []
    for server_block in gathered.blocks:
        server_keys(server_block.keys, 53, faults)
    assert all(fault.place is not None for fault in faults)


@settings(max_examples=300)
@given(TEXTS)
@example(". {\n a { b { c } }\n}")
@example(". {\n a {\n {\n b } }\n}")
def test_printed_corefile_is_the_same_corefile(text: str) -> None:
    try:
        corefile = parse(text, "Corefile", {}, FILES)
    except ConfigError:
        return
    assume(not any(sign in text for sign in ("{$", "{%", "\ufeff")) and not misread(corefile))
    assert tree(parse(str(corefile), "printed")) == tree(corefile)


def misread(corefile: Corefile) -> bool:
    """Whether printed words mean something else: a first word `import`, a key that is a brace."""
    keys = [[key.text for key in server_block.keys] for server_block in corefile.blocks]
    if any(words[0] == "import" or words[0].startswith("(") or "{" in words for words in keys):
        return True
    return "\n        import" in str(corefile)


def test_load_reads_imports_relative_to_the_corefile(tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "b.override").write_text("log")
    (tmp_path / "custom" / "a.override").write_text("errors")
    (tmp_path / "Corefile").write_text(". {\n import custom/*.override\n}")
    corefile = load(str(tmp_path / "Corefile"), {})
    assert str(corefile) == block(".", "errors", "log")
    place = corefile.blocks[0].directives[0].name.place
    assert place == Place(str(tmp_path / "custom" / "a.override"), 1, 1)


@pytest.mark.parametrize(
    ("name", "reason"), [("none", "No such file"), ("", "Is a directory"), ("\0", "null byte")]
)
def test_load_of_what_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot read the Corefile {tmp_path}.*{reason}"):
        load(f"{tmp_path}/{name}", {})
