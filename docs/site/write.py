"""Writes the site's sources into a folder: the pages of docs/, those that are made of the code, and what they
link to of the repository. ``make docs`` builds the site of them.
"""

from __future__ import annotations

import argparse
import posixpath
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import messages
import reference

ROOT = Path(__file__).parents[2]
FRONT = "index.md"
TROUBLES = "troubleshooting.md"
SHOWN = "files"
"""Folder of the site for what is shown of the repository."""
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)]*)?\))")
BLOCK = re.compile(r"(^ *(?:```|````).*?^ *(?:```|````) *$)", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".sh": "sh"}
SECTION = re.compile(r"^### (\w+Error)\n", re.MULTILINE)


def write(folder: Path) -> None:
    """Write all of it.

    Args:
        folder: Is made anew.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in pages().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    images = [file for file in (ROOT / "docs" / "images").iterdir() if file.suffix != ".py"]
    (folder / "images").mkdir()
    for image in images:
        shutil.copy(image, folder / "images" / image.name)


def pages() -> dict[str, str]:
    """Path in the site to its Markdown."""
    docs = ROOT / "docs"
    found = {FRONT: (ROOT / "README.md").read_text(encoding="utf-8")}
    for file in sorted(docs.rglob("*.md")):
        found[file.relative_to(docs).as_posix()] = file.read_text(encoding="utf-8")
    found |= reference.pages()
    waiting = list(found)
    while waiting:
        uri = waiting.pop()
        for target in _beside(uri, found[uri]):
            shown = f"{SHOWN}/{target}.md"
            if shown not in found:
                found[shown] = _shown(target)
                waiting.append(shown)
    found[TROUBLES] = _with_messages(found[TROUBLES])
    return {uri: _linked(uri, text) for uri, text in found.items()}


def _linked(uri: str, text: str) -> str:
    """A page whose links to the repository are links of the site; code stays as it is."""
    pieces = BLOCK.split(text)
    for index in range(0, len(pieces), 2):
        pieces[index] = LINK.sub(lambda found: f"{found[1]}{_target(uri, found[2])}{found[3]}", pieces[index])
    return "".join(pieces)


def _place(uri: str) -> str:
    """Where a page stands in the repository."""
    if uri == FRONT:
        return "README.md"
    if uri.startswith(f"{SHOWN}/"):
        return uri.removeprefix(f"{SHOWN}/").removesuffix(".md")
    return f"docs/{uri}"


def _pointed(uri: str, link: str) -> str:
    """What a link of a page points to in the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(_place(uri)), link))


def _beside(uri: str, text: str) -> list[str]:
    """Paths of the repository, outside of docs/, that a page links to."""
    prose = "".join(BLOCK.split(text)[::2])
    links = [link for _, link, _ in LINK.findall(prose) if "://" not in link]
    targets = [_pointed(uri, link) for link in links if not link.startswith("mailto:")]
    return [target for target in targets if target != "README.md" and not target.startswith("docs/")]


def _target(uri: str, link: str) -> str:
    """A link of a page, as the site needs it."""
    if "://" in link or link.startswith("mailto:"):
        return link
    target = _pointed(uri, link)
    if target == "README.md":
        goal = FRONT
    elif target.startswith("docs/"):
        goal = target.removeprefix("docs/")
    else:
        goal = f"{SHOWN}/{target}.md"
    return posixpath.relpath(goal, posixpath.dirname(uri) or ".")


def _shown(target: str) -> str:
    """A file or folder of the repository as a page."""
    path = ROOT / target
    if path.is_dir():
        names = sorted(one.name for one in path.iterdir() if not one.name.startswith(("_", ".")))
        return "\n".join([f"# {target}", "", *(f"- `{name}`" for name in names), ""])
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"# {target}\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n````\n"


def _with_messages(markdown: str) -> str:
    """The page of troubles, below each class of error the texts that it is raised with."""
    found = messages.messages()
    pieces = SECTION.split(markdown)
    lines = [pieces[0]]
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        way_out, *following = re.split(r"(?=^## )", body, maxsplit=1, flags=re.MULTILINE)
        lines.append(f"### {name}\n{way_out.rstrip()}\n")
        rooms = found[name]
        if count := sum(map(len, rooms.values())):
            lines.append(f'??? note "Its {count} messages"\n' if count > 1 else '??? note "Its message"\n')
        for room, texts in rooms.items():
            lines.append(f"    In `{room}`:\n")
            lines += [f"    - `` {' '.join(text.split())} ``" for text in texts]
            lines.append("")
        lines += following
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
