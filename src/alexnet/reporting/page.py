"""The page: one HTML file with its style, its few lines of script, and everything that it shows."""

from functools import cache
from importlib.resources import files

from markupsafe import Markup

from alexnet.reporting.facts import Facts, Missing
from alexnet.reporting.gathering import attempt
from alexnet.reporting.html import counted, lines
from alexnet.reporting.sections import PARTS, Section

# By this a report is known to be one.
GENERATOR = '<meta name="generator" content="alexnet report">'

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{generator}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><p>alexnet report</p><h1>{name}</h1><p class="lead">{about}</p></header>
<nav aria-label="Contents">{contents}</nav>
<main id="content">
{parts}
</main>
<script>
{script}
</script>
</body>
</html>
"""


def page(facts: Facts) -> str:
    """Return the whole page. A section that cannot be made says why in its place."""
    name = facts.folder.absolute().name
    return Markup(_PAGE).format(
        generator=Markup(GENERATOR),
        title=f"{name}: alexnet report",
        style=_own_file("style.css"),
        script=_own_file("script.js"),
        name=name,
        about=_about(facts),
        contents=_contents(),
        parts=lines(_part(title, sections, facts) for title, sections in PARTS.items()),
    )


def _about(facts: Facts) -> Markup:
    net, made = facts.artifact.architecture, facts.artifact.provenance
    epochs = made.get("epochs")
    trained = f", trained for {counted(epochs, 'epoch')}" if isinstance(epochs, int) else ""
    return Markup("A network of {} ({}, {} px){}.").format(
        counted(net.n_classes, "class", "classes"), net.variant, net.image_size, trained
    )


def _contents() -> Markup:
    def part(title: str, sections: tuple[Section, ...]) -> Markup:
        link = Markup('<li><a href="#{}">{}</a></li>')
        links = lines(link.format(section.id, section.title) for section in sections)
        return Markup("<div><h2>{}</h2><ul>{}</ul></div>").format(title, links)

    return lines(part(title, sections) for title, sections in PARTS.items())


def _part(title: str, sections: tuple[Section, ...], facts: Facts) -> Markup:
    made = lines(_section(section, facts) for section in sections)
    return Markup('<div class="part"><p class="part-title">{}</p>{}</div>').format(title, made)


def _section(section: Section, facts: Facts) -> Markup:
    body = attempt(lambda: section.make(facts))
    if isinstance(body, Missing):
        body = Markup('<p class="missing">Not here: {}.</p>').format(str(body).rstrip("."))
    return Markup('<section id="{}"><h2>{}</h2>{}</section>').format(section.id, section.title, body)


@cache
def _own_file(name: str) -> Markup:
    return Markup(files("alexnet.reporting").joinpath(name).read_text(encoding="utf-8"))
