"""Links of pages in Markdown. Those to files that are no pages lead, on the site, to pages made of these files."""

import re
from collections.abc import Mapping
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from pygments.lexers import find_lexer_class_for_filename  # type: ignore[import-untyped]

#: Code, in which nothing is a link, or the target of a link or an image.
_CODE_OR_TARGET = re.compile(
    r"^(?P<fence>```+|~~~+)[^\n]*\n.*?^(?P=fence)[ \t]*$"
    r"|(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"
    r"|\]\((?P<target>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
_ELSEWHERE = re.compile(r"[a-z]+:|#|//")


class LinkError(ValueError):
    """A link of a page leads nowhere."""


class Links:
    """The links of the site's pages.

    Attributes
    ----------
    root : Path
        The folder of the project.
    pages : mapping of str to str
        For files of the project that are pages, from their paths in it, those on the site.
    files : dict of str to str
        Other files of the project to which the pages read so far link: the path of the page that shows each.
    """

    def __init__(self, root: Path, pages: Mapping[str, str]) -> None:
        self.root, self.pages = root, pages
        self.files: dict[str, str] = {}

    def page_of(self, path: str) -> str:
        """The page of the site for a file of the project, both as paths."""
        if path in self.pages:
            return self.pages[path]
        return self.files.setdefault(path, f"files/{path}.md")

    def rewritten(self, source: str) -> str:
        """The text of a page, from its path in the project, with links as the site has them.

        Raises
        ------
        LinkError
            If a link leads to no file of the project.
        """

        def target(match: re.Match[str]) -> str:
            found = match["target"]
            if found is None or _ELSEWHERE.match(found):
                return match[0]
            path, mark, anchor = found.partition("#")
            path = normpath(join(dirname(source), path))
            if path.startswith("..") or not (self.root / path).is_file():
                raise LinkError(f"{source}: the link to {found} leads to no file of the project")
            # The figures of docs/ have the same places on the site.
            page = path.removeprefix("docs/") if path.endswith(".png") else self.page_of(path)
            return f"]({relpath(page, dirname(self.pages[source]) or '.')}{mark}{anchor})"

        return _CODE_OR_TARGET.sub(target, (self.root / source).read_text(encoding="utf-8"))

    def shown(self, path: str) -> str:
        """A page that shows a file of the project."""
        text = (self.root / path).read_text(encoding="utf-8")
        lexer = find_lexer_class_for_filename(path)
        # Snakemake's language is Python with rules, which colours well enough.
        language = "python" if path.endswith(("Snakefile", ".smk")) else lexer.aliases[0] if lexer else "text"
        fence = "`" * max(3, *(len(each) + 1 for each in re.findall(r"`+", text) or [""]))
        return f"---\norphan: true\n---\n\n# {Path(path).name}\n\n`{path}`\n\n{fence}{language}\n{text}{fence}\n"
