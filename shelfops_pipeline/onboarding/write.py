"""The mapping as YAML, with a comment where an entry is a guess."""

from collections.abc import Iterator
from typing import Final

import yaml

from shelfops_pipeline.data.mapping import Mapping
from shelfops_pipeline.onboarding.propose import Proposal
from shelfops_pipeline.onboarding.questions import Place

_HEAD: Final = """\
# How ShelfOps reads {folder}; written by `shelfops onboard`.
# Check it after a change: shelfops onboard --check THIS_FILE --data DIR
"""


def to_yaml(proposal: Proposal, folder: str) -> str:
    """The text of the mapping file; `load_mapping` reads it back as `proposal.mapping`."""
    lines = _spelled_out(proposal.mapping).splitlines()
    for place, line in sorted(_lines(yaml.compose("\n".join(lines))), key=lambda found: found[1], reverse=True):
        if place in proposal.comments:
            lines[line] += f"  # {_in_one_line(proposal.comments[place])}"
    return _HEAD.format(folder=_in_one_line(folder)) + "\n".join(lines) + "\n"


def _in_one_line(text: str) -> str:
    """A header may have line breaks, a comment may not."""
    return " ".join(text.split())


def _spelled_out(mapping: Mapping) -> str:
    """The mapping without its defaults, but for the choices that one should see."""
    content = mapping.model_dump(mode="json", exclude_defaults=True)
    shown = {name: mapping.model_dump(mode="json")[name] for name in ("name", "grain", "target", "absence")}
    return str(yaml.safe_dump(shown | content, sort_keys=False, allow_unicode=True, width=110))


def _lines(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """(place, line on which its value ends) of every scalar below `node`."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _lines(value, (*place, position))
    elif node is not None:
        yield place, node.end_mark.line
