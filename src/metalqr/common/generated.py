"""Parts of the documentation's pages that a command writes, between two comments that name the part and the command."""

import re
from collections.abc import Callable


def with_parts(page: str, command: str, content: Callable[[str], str]) -> str:
    """A page with each part that the command writes renewed.

    A part stands between the lines ``<!-- NAME: from the code, by `COMMAND` -->`` and ``<!-- end of NAME -->``.

    Parameters
    ----------
    page
        Text of the page.
    command
        The command, such as ``make schema``; parts of other commands are left.
    content
        Gives the text of a part by its name.

    Returns
    -------
    str
        Text of the renewed page.

    Raises
    ------
    ValueError
        A part does not end.
    """
    begin = re.compile(rf"^<!-- (?P<name>[^\n]+?): from [^\n`]+ `{re.escape(command)}` -->\n", re.MULTILINE)
    done, place = "", 0
    while found := begin.search(page, place):
        end = page.find(f"<!-- end of {found['name']} -->", found.end())
        if end < 0:
            raise ValueError(f"the part {found['name']} does not end; write <!-- end of {found['name']} --> below it")
        done += page[place : found.end()] + content(found["name"])
        place = end
    return done + page[place:]
