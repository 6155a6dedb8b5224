"""The pages of the documentation and the blocks of code in them."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from places import ROOT

#: A fence, the language of what follows, and the text up to the same fence; blocks in a list are indented.
_BLOCK = re.compile(r"^( *)```(\S*)[^\n`]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_HEREDOC = re.compile(r"<<'(\w+)'$")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def name(self) -> str | None:
        """The file that the first line says it is, as in ``# examples/mine.yaml``."""
        found = re.match(r'(?:# |""")([\w/]+\.(?:py|yaml))\b', self.text)
        return found[1] if found else None


@dataclass(frozen=True)
class Command:
    """One command of a shell, without its comment, what it reads, and the file that it writes."""

    block: Block
    text: str
    words: tuple[str, ...]
    input: str = ""
    output: str | None = None

    @property
    def program(self) -> str:
        return self.words[0].removeprefix(".venv/bin/")


def pages() -> list[str]:
    """Every page with prose of its own, by its path in the project."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md"), *ROOT.glob("envs/*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def parsed(page: str, text: str) -> list[Block]:
    found = []
    for match in _BLOCK.finditer(text):
        lines = (line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[2], "".join(lines)))
    return found


def blocks(page: str) -> list[Block]:
    return parsed(page, text_of(page))


def texts(page: str, language: str) -> list[str]:
    """The blocks of one language of a page."""
    return [block.text for block in blocks(page) if block.language == language]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block of sh: lines, with ``&&``, ``> FILE``, and ``<<'END'`` as the last word."""
    lines = iter(block.text.replace("\\\n", "").splitlines())
    for line in lines:
        heredoc, given = _HEREDOC.search(line), ""
        if heredoc:
            line = line[: heredoc.start()]
            given = "".join(f"{each}\n" for each in iter(lambda: next(lines), heredoc[1]))
        for text in line.split(" && "):
            if words := shlex.split(text, comments=True):
                output = words[words.index(">") + 1] if ">" in words else None
                yield Command(block, text.strip(), tuple(words[: words.index(">")] if output else words), given, output)


class _Bare(ast.NodeTransformer):
    """Without the annotations of functions and without docstrings."""

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            if isinstance(node, ast.FunctionDef):
                node.returns = None
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def bare(code: str) -> str:
    """Python without what a page may leave out of a fragment: white space, comments, annotations and docstrings."""
    return "".join(ast.unparse(_Bare().visit(ast.parse(code))).split())
