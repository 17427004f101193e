"""What README.md and docs/ name exists: commands, their options, targets, files and headings."""

import argparse
import re
import shlex
from dataclasses import replace

import pytest

from cli import hang_watch
from cli.arguments import build_parser
from cli.status.screen import text
from cli.status.verdict import judge
from tests.documented import DOCUMENTS, ROOT, Command, blocks, commands, is_command, lines, mentions
from tests.unit.cli.status.samples import facts

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands one level below."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def ours() -> list[Command]:
    """Each mention of our command line in any document."""
    found = [
        each
        for document in DOCUMENTS
        for program in ("./btc-scanner", "btc-scanner")
        for each in (*commands(document), *mentions(document, program))
        if each.text.split()[0] == program and each.text != program
    ]
    assert len(found) > 50
    return found


def test_a_block_holds_only_commands_or_none() -> None:
    for document in DOCUMENTS:
        for block in blocks(document):
            starts, continued = [], False
            for line in block:
                if not continued:
                    starts.append(line)
                continued = line.text.endswith("\\")
            kinds = {is_command(line.text) for line in starts}
            assert len(kinds) == 1, f"{document}:{block[0].number}: commands and other lines"


@pytest.mark.parametrize("command", ours(), ids=str)
def test_each_command_of_ours_and_each_of_its_options_exists(command: Command) -> None:
    text = command.text.replace("\\|", "|")  # as a table has it
    if "…" in text or text.startswith("./btc-scanner --dev"):
        return
    words = shlex.split(re.sub(r"[\[\]]", " ", text))[1:]
    parser = build_parser()
    while words and (below := subcommands(parser)):
        for name in words[0].split("|"):
            assert name in below, f"there is no command {name}"
        parser = below[words.pop(0).split("|")[0]]
    for word in words:
        if word.startswith("-"):
            assert word in parser._option_string_actions, f"there is no option {word}"


def test_the_readme_names_each_command() -> None:
    named = {each.text.split()[1] for each in mentions("README.md", "./btc-scanner")}
    named |= {each.text.split()[0] for each in mentions("README.md", "unmute")}
    assert set(subcommands(build_parser())) - named == {"version"}


def test_each_target_that_is_named_exists_and_the_readme_names_each() -> None:
    named = {
        each.text.split()[1]
        for document in DOCUMENTS
        for each in (*commands(document), *mentions(document, "make"))
        if each.text.split()[0] == "make" and len(each.text.split()) > 1
    }
    assert named <= TARGETS
    of_the_readme = {
        each.text.split()[1] for each in commands("README.md") if each.text.startswith("make ")
    }
    assert TARGETS - of_the_readme == {"up", "docs", "lock", "clean"}


def anchors(document: str) -> set[str]:
    """What a link may name behind ``#``, as GitHub makes it of headings."""
    text = (ROOT / document).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_leads_to_a_file_and_a_heading(document: str) -> None:
    folder = (ROOT / document).parent
    for line in lines(document):
        for target in re.findall(r"\]\(([^)]+)\)", line.text):
            if target.startswith("https://"):
                continue
            name, _, anchor = target.partition("#")
            path = (folder / name).resolve() if name else ROOT / document
            assert path.exists(), f"{document}:{line.number}: {target}"
            if anchor:
                known = anchors(str(path.relative_to(ROOT)))
                assert anchor in known, f"{document}:{line.number}: {target}"


def test_each_document_is_found_from_the_readme() -> None:
    named = set(re.findall(r"\(docs/([a-z]+\.md)", README))
    assert named == {document.removeprefix("docs/") for document in DOCUMENTS} - {"README.md"}


PLACES = "bench|cli|deploy|docs|fuzz|services|shared|sim|soak|tests"


def test_each_file_and_folder_of_ours_that_is_named_exists() -> None:
    named = 0
    for document in DOCUMENTS:
        for line in lines(document):
            for path in re.findall(rf"`((?:{PLACES})/[\w./-]*)`", line.text):
                assert (ROOT / path).exists(), f"{document}:{line.number}: {path}"
                named += 1
            for script in re.findall(r"`(\w+\.lua)`", line.text):
                assert (ROOT / "shared/scripts" / script).exists(), f"{document}:{line.number}"
    assert named > 10


def test_what_is_quoted_of_a_hung_service_and_a_full_redis_is_what_is_said() -> None:
    silent_s = hang_watch.ROUNDS * (hang_watch.EVERY_S + hang_watch.PATIENCE_S)
    assert f"| `… has not answered for {silent_s:g} s: it hangs; ending it` |" in README
    healthy = facts()
    redis = replace(healthy.redis, refuses="Redis is out of memory")
    full = replace(healthy, redis=redis, services=())
    quoted = "unknown: Redis takes no heartbeats"
    assert quoted in text(full, judge(full))
    assert f"| `{quoted}` in `status` |" in README
