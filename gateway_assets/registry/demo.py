"""A small plant to try the registry on. All of it says in its description that it is a demo.

Delays and dead bands are the starting values of ISA-18.2: temperature 1 % of span and 60 s,
pressure 2 % and 15 s, level 5 % and 60 s, flow 5 % and 15 s.
"""

from __future__ import annotations

from pathlib import Path

from gateway_assets.errors import RegistryError
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.contents import contents_of
from gateway_assets.registry.database import Registry
from gateway_assets.registry.document import Document, parsed
from gateway_assets.registry.entries import folded
from gateway_assets.registry.importing import Change, apply, plan

_PLANT = Path(__file__).with_name("demo.yaml")


def plant() -> Document:
    return parsed(_PLANT.read_text("utf-8"), _PLANT.name)


def seed_demo(registry: Registry, actor: Actor, *, force: bool = False) -> list[Change]:
    """Add the plant, or bring it back to what it was; gives what was done.

    Raises RegistryError when other devices are there, unless ``force`` says so.
    """
    document = plant()
    own = {folded(one.name) for one in document.devices or []}
    with registry.reading() as session:
        others = [
            one["name"] for key, one in contents_of(session).devices.items() if key not in own
        ]
    if others and not force:
        raise RegistryError(
            f"the registry has other devices: {', '.join(sorted(others)[:5])}",
            hint="to add the demo all the same: gateway registry seed-demo --force",
        )
    changes = plan(registry, document)
    apply(registry, actor, document, changes)
    return changes
