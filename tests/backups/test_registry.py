"""A registry in a backup works again: users log in, alarms are there and go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from gateway_assets.accounts.login import verify
from gateway_assets.accounts.roles import Scope
from gateway_assets.accounts.tokens import add_token, check_token
from gateway_assets.accounts.users import add_user
from gateway_assets.alarms.operate import acknowledge
from gateway_assets.backups import postgres, record
from gateway_assets.backups.bring import bring
from gateway_assets.backups.prove import prove
from gateway_assets.backups.record import Backup, newest_proven, read_record
from gateway_assets.backups.take import take
from gateway_assets.errors import BackupError
from gateway_assets.hot.store import open_store
from gateway_assets.notify.deliver import deliver
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.database import Registry
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.upgrade import standing, upgrade
from gateway_assets.registry.words import Role
from gateway_assets.settings import Settings, load_settings
from tests.alarms.plant import Plant, running_plant
from tests.backups.filled import load_points

HOST = Actor("os:test")


@contextmanager
def plant_of(settings: Settings) -> Iterator[Plant]:
    kept = settings.model_copy(update={"points_keep_days": 36_500, "notify_group_seconds": 0})
    with opened_registry(kept) as registry, running_plant(kept, registry) as plant:
        yield plant


@contextmanager
def restored(done: Backup, settings: Settings, to: Path) -> Iterator[Settings]:
    """The backup as a data directory of its own; in PostgreSQL also a database."""
    brought = bring(done, to, settings).path
    parts = done.of_kind(record.POSTGRES)
    if not parts:
        yield settings.model_copy(update={"data_dir": brought})
        return
    name = f"restored_{uuid4().hex}"
    before = settings.registry_url.partition("?")[0].rpartition("/")[2]
    url = settings.registry_url.replace(f"/{before}?", f"/{name}?")
    with psycopg.connect(settings.registry_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        postgres.restore(url, done.path / parts[0].path, parts[0].version)
        yield settings.model_copy(update={"data_dir": brought, "registry_url": url})
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_users_log_in_and_alarms_go_on(
    registry: Registry, registry_settings: Settings, tmp_path: Path
) -> None:
    settings = registry_settings
    add_user(registry, settings, HOST, "ann", Role.MAINTENANCE, "long enough", must_change=False)
    _, secret = add_token(registry, HOST, "ann", "gateway", [Scope.POINTS_WRITE])
    with plant_of(settings) as plant:
        plant.rule(plant.device("d"))
        plant.channel()
        plant.feed("d", [(1, 90)])
        deliver(plant.registry, plant.settings)
        (fired,) = plant.alerts()
    done = read_record(take(settings).path)
    assert (done.path / "data/notifications.log").read_text().count("\n") == 1
    assert not list(done.path.rglob("*lock*"))
    proof = prove(done, settings)
    assert proof.registry == ("restored" if registry.is_postgres else "none")
    with restored(done, settings, tmp_path / "new") as there, plant_of(there) as plant:
        verify(plant.registry, there, "ann", "long enough")
        assert check_token(plant.registry, secret)[1].username == "ann"
        acknowledge(plant.registry, there, fired.id, HOST, "seen")
        plant.feed("d", [(2, 70)])
        (ended,) = plant.alerts()
        assert (ended.id, ended.status) == (fired.id, "RESOLVED")


def test_no_alarm_is_lost_that_fires_meanwhile(tmp_path: Path) -> None:
    """Points come and are evaluated while one database after the other is copied."""
    settings = load_settings(data_dir=tmp_path / "data")
    numbers = count()
    with plant_of(settings) as plant, open_store(settings.hot_database):
        plant.rule()
        for number in range(20):
            plant.feed(f"d{number}", [(1, 70)])

        def interfere(done: int, total: int) -> None:
            plant.feed(f"d{next(numbers)}", [(2, 90)])

        done = take(settings, progress=interfere)
        fired = len(plant.alerts())
    assert 3 <= fired == next(numbers) < 20
    there = settings.model_copy(update={"data_dir": bring(done, tmp_path / "new", settings).path})
    with plant_of(there) as plant:
        load_points(plant.settings)
        plant.run()
        assert len(plant.alerts()) == fired


def test_one_of_an_earlier_release_is_good_and_of_a_later_is_not(
    empty_registry: Registry, registry_settings: Settings
) -> None:
    upgrade(empty_registry, "0003")
    prove(take(registry_settings), registry_settings)
    assert standing(empty_registry).revision == "0003"
    upgrade(empty_registry)
    with empty_registry.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BackupError, match="later release: migration 9999"):
        prove(take(registry_settings), registry_settings)


def test_a_server_that_is_away_takes_no_proof_back(
    registry: Registry, registry_settings: Settings, tmp_path: Path
) -> None:
    done = take(registry_settings)
    prove(done, registry_settings)
    if not registry.is_postgres:
        return
    away = f"postgresql+psycopg://user@/registry?host={tmp_path}"
    with pytest.raises(BackupError, match="could not be tried out"):
        prove(done, registry_settings.model_copy(update={"registry_url": away}))
    assert newest_proven(registry_settings.backups) == done.path
