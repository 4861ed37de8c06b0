"""Follows every link within the built pages: ``python docs/check_links.py docs/_build/html`` fails where one is broken.

Links to other sites are not followed, so that it needs no network: ``sphinx-build -b linkcheck docs out`` does that.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the places in it that may be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note what an element links to, and its name."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def broken_links(root):
    """Each link that leads nowhere, with the page that it is on, and how many links there are."""
    paths = sorted(path for path in root.rglob("*.html") if "_static" not in path.parts)  # which are the theme's
    pages = {path: Page(path.read_text()) for path in paths}
    links = [(path, link) for path, page in pages.items() for link in page.links if is_local(link)]
    return [(path.relative_to(root), link) for path, link in links if not leads_somewhere(path, link, pages)], len(
        links
    )


def is_local(link):
    """Whether a link stays within the pages."""
    parts = urlsplit(link)
    return not parts.scheme and not parts.netloc


def leads_somewhere(path, link, pages):
    """Whether its file exists, and the place in it."""
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    page = pages.get(target)
    return target.exists() and (page is None or unquote(parts.fragment) in page.anchors)


if __name__ == "__main__":
    broken, count = broken_links(Path(sys.argv[1]).resolve())
    for where, link in broken:
        print(f"{where}: {link} leads nowhere")
    print(f"{count} links within the pages, {len(broken)} of them broken")
    sys.exit(bool(broken))
