"""What the network predicts for images that show none of its classes."""

from markupsafe import Markup

from alexnet.reporting.facts import Facts, Foreign, known
from alexnet.reporting.html import Share, bars, grid, lines, paragraph
from alexnet.reporting.images import inline


def foreign(facts: Facts) -> Markup:
    """Return drawn images and two others with the predictions for them."""
    images = known(facts.foreign)
    surest = max(images, key=lambda each: each.predictions[0].probability)
    first = surest.predictions[0]
    return lines((
        paragraph(
            "The network knows no class but its own, and its probabilities always add up to 1.",
            Markup("<strong>A high probability does not mean that an image shows one of the classes.</strong>"),
            f"For {surest.title} it predicts {first.label} with {Share(first.probability)}.",
            "If images of other things may come, train a class of such images too.",
        ),
        grid(map(_panel, images), "panels"),
    ))  # fmt: skip


def _panel(each: Foreign) -> Markup:
    shares = [(prediction.label, prediction.probability, "") for prediction in each.predictions]
    return Markup('<figure class="panel">{}<figcaption><b>{}</b>{}</figcaption></figure>').format(
        inline(each.pixels, each.title), each.title, bars(shares)
    )
