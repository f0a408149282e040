"""Pages of the site that are not written in `.github/docs`; MkDocs calls the `on_...` functions.

The home page, README, CONTRIBUTING and CHANGELOG, the pictures and the notebooks come from where
they lie. The shipped recipes and dataset scripts are shown as code. The API reference has one page
for each package of `jaxpose`, found by walking the package, so that a new package needs no entry.

A link between two files of the repository is turned into a link between their pages on the site; so
one spelling works on GitHub and here. A link to a file that has no page is a warning, which
`--strict` makes an error.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"

# Files that lie elsewhere, by their place on the site.
PLACED = {
    "index.md": GITHUB / "site" / "home.md",
    "style.css": GITHUB / "site" / "style.css",
    "overview.md": ROOT / "README.md",
    "contributing.md": GITHUB / "CONTRIBUTING.md",
    "changelog.md": GITHUB / "CHANGELOG.md",
    **{f"pictures/{file.name}": file for file in (GITHUB / "pictures").iterdir()},
    **{f"colab/{file.name}": file for file in (ROOT / "colab").glob("*.ipynb")},
}
SCRIPTS = {"recipes.md": ROOT / "configs", "data_prep.md": ROOT / "data_prep"}
# Where a file of the repository is found on the site.
PAGES = {file.resolve(): place for place, file in (PLACED | SCRIPTS).items()}

PACKAGES: list[griffe.Module] = []
"""`jaxpose` and the packages below it, in order of their paths; filled by `on_config`."""

log = get_plugin_logger("jaxpose")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the API pages to the navigation, and in GitHub Actions the repository's address."""
    repository = os.environ.get("GITHUB_REPOSITORY")
    if repository:
        config.repo_url = f"{os.environ['GITHUB_SERVER_URL']}/{repository}"
        config.repo_name = repository
    PACKAGES[:] = _walk(griffe.load("jaxpose", search_paths=[ROOT], allow_inspection=False))
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    reference[:0] = [{package.path: _address(package)} for package in PACKAGES]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds everything that does not lie in `.github/docs`."""
    for place, path in PLACED.items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    for place, folder in SCRIPTS.items():
        files.append(File.generated(config, place, content=_scripts_page(folder)))
    for package in PACKAGES:
        files.append(File.generated(config, _address(package), content=_package_page(package)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turns links between files of the repository into links between pages."""
    source = Path(page.file.abs_src_path or "")
    if not source.is_relative_to(GITHUB / "docs") and page.file.src_uri not in PLACED:
        return markdown  # generated: its links are the site's already

    def rewritten(match: re.Match[str]) -> str:
        before, target, anchor, after = match.groups()
        path = (source.parent / target).resolve()
        if not path.exists():
            return match[0]
        place = _place(path)
        if place is None:
            log.warning(f"{source.relative_to(ROOT)}: the site has no page for {target}")
            return match[0]
        address, _, fragment = place.partition("#")
        relative = posixpath.relpath(address, posixpath.dirname(page.file.src_uri) or ".")
        return before + relative + (anchor or (fragment and f"#{fragment}")) + after

    return re.sub(r"(\]\()([^)#\s:]+)(#[^)\s]*)?(\))", rewritten, markdown)


def _place(path: Path) -> str | None:
    """The site's place, with an anchor if need be, for a file or folder of the repository."""
    if path in PAGES:
        return PAGES[path]
    if path.is_relative_to(GITHUB / "docs"):
        return path.relative_to(GITHUB / "docs").as_posix()
    for place, folder in SCRIPTS.items():
        if path.is_relative_to(folder):
            return f"{place}#{path.stem}"
    if path.is_relative_to(ROOT / "jaxpose"):
        *package, module = path.relative_to(ROOT).with_suffix("").parts
        return f"api/{'.'.join(package)}.md#{'.'.join([*package, module])}"
    return None


def _walk(package: griffe.Module) -> Iterator[griffe.Module]:
    """A package and all public ones below it, except the command line."""
    yield package
    for name, module in sorted(package.modules.items()):
        if module.is_init_module and not name.startswith("_") and module.path != "jaxpose.cli":
            yield from _walk(module)


def _address(package: griffe.Module) -> str:
    return f"api/{package.path}.md"


def _modules(package: griffe.Module) -> dict[str, str]:
    """The paths of a package's own public modules, by name."""
    return {
        name: module.path
        for name, module in sorted(package.modules.items())
        if not (module.is_init_module or name.startswith("_"))
    }


def _exported(package: griffe.Module) -> list[griffe.Object]:
    """The classes, functions and values that a package offers from its modules.

    They are those of `__all__`, or, without one, all that it imports from `jaxpose`.
    """
    names = package.members if package.exports is None else map(str, package.exports)
    members = [package.members[name] for name in names if name in package.members]
    ours = [m for m in members if m.is_alias and m.target_path.startswith("jaxpose.")]
    return [m.final_target for m in ours if not m.final_target.is_module]


def _first_line(thing: griffe.Object) -> str:
    """The first paragraph of a docstring, to stand in a table; empty without one."""
    text = thing.docstring.value if thing.docstring else ""
    return text.partition("\n\n")[0].replace("\n", " ").replace("|", r"\|")


def _package_page(package: griffe.Module) -> str:
    """Its docstring, its names and packages as tables, then each module with its members."""
    lines = [f"# {package.path}", "", package.docstring.value if package.docstring else "", ""]
    below = [p for p in PACKAGES if p.parent is package]
    if below:
        lines += ["| package | |", "|---|---|"]
        for p in below:
            content = _first_line(p) or ", ".join(f"`{name}`" for name in _modules(p))
            lines.append(f"| [`{p.path}`]({p.path}.md) | {content} |")
        lines.append("")
    exported = _exported(package)
    if exported:
        lines += [f"| `from {package.path} import` | |", "|---|---|"]
        for thing in exported:
            shown = thing if thing.docstring else thing.module  # undocumented constants
            lines.append(f"| [`{thing.name}`][{shown.path}] | {_first_line(shown)} |")
        lines.append("")
    own = [m for name, m in package.members.items() if not (name.startswith("_") or m.is_alias)]
    if any(m.docstring for m in own if not m.is_module):
        hidden = ("show_root_heading", "show_root_toc_entry", "show_docstring_description")
        lines += _reference(package.path, *(f"{option}: false" for option in hidden))
    for path in _modules(package).values():
        lines += _reference(path)
    return "\n".join(lines)


def _reference(path: str, *options: str) -> list[str]:
    chosen = ["heading_level: 2", *options]
    return [f"::: {path}", "    options:", *(f"      {option}" for option in chosen), ""]


def _scripts_page(folder: Path) -> str:
    """Every script of a folder as code, under its name."""
    title = {"configs": "Shipped recipes", "data_prep": "Dataset scripts"}[folder.name]
    command = {"configs": "train", "data_prep": "prepare"}[folder.name]
    lines = [f"# {title}", ""]
    for file in sorted(folder.glob("*.py")):
        lines += [f"## {file.stem}", "", f"`jaxpose {command} {file.stem}`", ""]
        lines += [f'```python title="{folder.name}/{file.name}"', file.read_text(), "```", ""]
    return "\n".join(lines)
