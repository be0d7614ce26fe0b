"""``gateway users``: who may do what, and the log of what was done and refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
from sqlalchemy import select

from gateway_assets.accounts import passwords, sessions, tokens
from gateway_assets.accounts import users as accounts
from gateway_assets.accounts.roles import Scope, scopes_of
from gateway_assets.cli.show import as_json, print_grid, print_json
from gateway_assets.cli.spans import span
from gateway_assets.errors import UsageError
from gateway_assets.registry.audit import record, this_host
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.users import AuditLog, User
from gateway_assets.registry.words import Role, UserStatus
from gateway_assets.settings import Settings

_MOST_FILE = 4_096
_ROLE = click.Choice([role.value for role in Role], case_sensitive=False)
_SETTABLE = click.Choice([UserStatus.ACTIVE.value, UserStatus.INACTIVE.value], case_sensitive=False)


def _password_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--password-file",
            type=click.File("rb"),
            help="First line of this file, - for the input; instead of asking.",
        ),
        click.option("--generate", is_flag=True, help="Make a password and show it once."),
        click.option(
            "--keep", is_flag=True, help="It need not be changed at the first login: programs."
        ),
    ):
        command = option(command)
    return command


@click.group()
def users() -> None:
    """Users of the registry, their tokens and sessions, and the audit.

    Roles: ADMIN may do everything; OPERATOR reads, acknowledges and shelves alerts;
    MAINTENANCE reads, changes devices, tags and rules, and writes points; VIEWER reads. A password
    is never an argument.

    \b
    Examples:
      gateway users add ann --role ADMIN              the first one, on the host itself
      gateway users token add lines telegraf --scope points:write
      gateway users audit --since 24h --failed
    """


@users.command("list")
@as_json
@click.pass_obj
def list_users(settings: Settings, as_json: bool) -> None:
    """List users: role, status, last login.

    \b
    Examples:
      gateway users list
      gateway users list --json | jq -r '.[] | select(.status == "LOCKED").username'
    """
    with opened_registry(settings) as registry:
        found = accounts.list_users(registry)
    _print([_plain(user) for user in found], as_json, "nobody; the first: gateway users add --help")


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE, default=Role.VIEWER.value, show_default=True)
@click.option("--full-name")
@click.option("--email")
@_password_options
@as_json
@click.pass_obj
def add(
    settings: Settings,
    name: str,
    role: str,
    full_name: str | None,
    email: str | None,
    password_file: Any,
    generate: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Add a user. The password is asked for, read from a file, or made and shown once.

    \b
    Examples:
      gateway users add ann --role ADMIN --full-name "Ann Li" --email ann@example.org
      gateway users add pumps --role OPERATOR --generate
      gateway users add hmi --role VIEWER --keep --password-file /run/secrets/hmi
    """
    password = _password(password_file, generate)
    with opened_registry(settings) as registry:
        user = accounts.add_user(
            registry,
            settings,
            this_host(),
            name,
            Role(role),
            password,
            full_name=full_name,
            email=email,
            must_change=not keep,
        )
    _print_user(user, as_json, f"{user.username} is {user.role}", password if generate else None)


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE)
@click.option("--status", type=_SETTABLE, help="ACTIVE lets a user in again who was disabled.")
@click.option("--full-name", help="Empty: none.")
@click.option("--email", help="Empty: none.")
@as_json
@click.pass_obj
def edit(settings: Settings, name: str, role: str | None, status: str | None,
         full_name: str | None, email: str | None, as_json: bool) -> None:  # fmt: skip
    """Change what is given. A new role or status ends the user's sessions.

    \b
    Examples:
      gateway users edit ann --role OPERATOR
      gateway users edit ann --status ACTIVE --email ann@example.org
    """
    if all(one is None for one in (role, status, full_name, email)):
        raise UsageError("nothing to change", hint="gateway users edit --help")
    with opened_registry(settings) as registry:
        user = accounts.edit_user(
            registry,
            this_host(),
            name,
            role=Role(role) if role else None,
            status=UserStatus(status) if status else None,
            full_name=full_name,
            email=email,
        )
    _print_user(user, as_json, f"{user.username} is {user.role}, {user.status}")


@users.command()
@click.argument("name")
@_password_options
@as_json
@click.pass_obj
def password(
    settings: Settings, name: str, password_file: Any, generate: bool, keep: bool, as_json: bool
) -> None:
    """Set a user's password; it must be changed at the next login. Ends the user's sessions.

    \b
    Examples:
      gateway users password ann
      gateway users password ann --generate
      pass show gateway/hmi | gateway users password hmi --keep --password-file -
    """
    text = _password(password_file, generate)
    with opened_registry(settings) as registry:
        user = accounts.set_password(
            registry, settings, this_host(), name, text, must_change=not keep
        )
    told = f"{user.username} has a new password"
    _print_user(user, as_json, told, text if generate else None)


@users.command()
@click.argument("name")
@as_json
@click.pass_obj
def unlock(settings: Settings, name: str, as_json: bool) -> None:
    """Let somebody in again who is locked out after wrong passwords.

    \b
    Examples:
      gateway users unlock ann
    """
    with opened_registry(settings) as registry:
        user = accounts.unlock_user(registry, this_host(), name)
    _print_user(user, as_json, f"{user.username} is {user.status}")


@users.command()
@click.argument("name")
@as_json
@click.pass_obj
def disable(settings: Settings, name: str, as_json: bool) -> None:
    """Let a user in no more: neither password nor tokens. The last active ADMIN stays.

    \b
    Examples:
      gateway users disable ann
      gateway users edit ann --status ACTIVE          takes it back
    """
    with opened_registry(settings) as registry:
        user = accounts.edit_user(registry, this_host(), name, status=UserStatus.INACTIVE)
    _print_user(user, as_json, f"{user.username} is {user.status}")


@users.command("sessions")
@click.argument("name", required=False)
@click.option("--close", is_flag=True, help="End all sessions of the user.")
@as_json
@click.pass_obj
def list_sessions(settings: Settings, name: str | None, close: bool, as_json: bool) -> None:
    """List who is logged in, or end a user's logins.

    \b
    Examples:
      gateway users sessions
      gateway users sessions ann --close
    """
    if close and name is None:
        raise UsageError("whose sessions?", hint="gateway users sessions NAME --close")
    with opened_registry(settings) as registry:
        user = accounts.get_user(registry, name) if name is not None else None
        if close and user is not None:
            with registry.writing() as session:
                count = sessions.close_sessions(session, user.id)
                details = {"username": user.username, "sessions": count}
                record(
                    session, this_host(), "sessions.close",
                    kind="users", id=user.id, details=details,
                )  # fmt: skip
        found = sessions.list_sessions(registry, settings, user.id if user else None)
    rows = [
        {
            "username": username,
            "address": one.ip_address,
            "agent": one.user_agent,
            "since": one.created_at,
            "last used": one.last_activity,
            "ends": one.expires_at,
        }
        for one, username in found
    ]
    _print(rows, as_json, "nobody is logged in")


@users.group()
def token() -> None:
    """Tokens of programs."""


@token.command("add")
@click.argument("user")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; several times. The user's role must have it, now and later.",
)
@click.option("--expires", type=span, help="After how long it ends: 30d, 52w.  [default: never]")
@as_json
@click.pass_obj
def add_token(settings: Settings, user: str, name: str, scopes: tuple[str, ...],
              expires: int | None, as_json: bool) -> None:  # fmt: skip
    """Make a token for a program and show it once.

    \b
    Examples:
      gateway users token add lines telegraf --scope points:write
      gateway users token add ann grafana --scope points:read --scope alerts:read --expires 90d
    """
    now = utc_now()
    ends = now + timedelta(seconds=expires) if expires else None
    wanted = [Scope(scope) for scope in scopes]
    with opened_registry(settings) as registry:
        made, secret = tokens.add_token(
            registry, this_host(), user, name, wanted, expires_at=ends, now=now
        )
    if as_json:
        print_json({"name": made.name, "token": secret, "expires_at": ends})
        return
    click.echo(secret)
    click.echo("shown this once; end it: gateway users token revoke", err=True)


@token.command("list")
@click.argument("user", required=False)
@as_json
@click.pass_obj
def list_tokens(settings: Settings, user: str | None, as_json: bool) -> None:
    """List tokens: of whom, what they may do, when they were used.

    \b
    Examples:
      gateway users token list
      gateway users token list ann --json
    """
    with opened_registry(settings) as registry:
        found = tokens.list_tokens(registry, user)
    rows = [
        {
            "username": owner.username,
            "name": one.name,
            "scopes": " ".join(sorted(scopes_of(owner.role, one.scopes))),
            "made": one.created_at,
            "expires": one.expires_at,
            "last used": one.last_used,
            "revoked": one.revoked_at,
        }
        for one, owner in found
    ]
    _print(rows, as_json, "no token; make one: gateway users token add --help")


@token.command("revoke")
@click.argument("user")
@click.argument("name")
@as_json
@click.pass_obj
def revoke_token(settings: Settings, user: str, name: str, as_json: bool) -> None:
    """End a token; who uses it is refused within ten seconds.

    \b
    Examples:
      gateway users token revoke ann telegraf
    """
    with opened_registry(settings) as registry:
        ended = tokens.revoke_token(registry, this_host(), user, name)
    if as_json:
        print_json({"name": ended.name, "revoked_at": ended.revoked_at})
        return
    click.echo(f"{ended.name} of {user} is revoked")


@users.command()
@click.option("--since", type=span, default="24h", show_default=True, help="90s, 6h, 7d.")
@click.option("--user", help="What this user did, or tried.")
@click.option("--action", help="Such as login, user.edit, token.add.")
@click.option("--failed", is_flag=True, help="Only what was refused.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most.")
@as_json
@click.pass_obj
def audit(settings: Settings, since: int, user: str | None, action: str | None,
          failed: bool, limit: int, as_json: bool) -> None:  # fmt: skip
    """Show what was done and what was refused, the newest first.

    \b
    Examples:
      gateway users audit --since 24h
      gateway users audit --since 7d --user ann --failed
      gateway users audit --action login --json
    """
    asked = select(AuditLog).where(AuditLog.created_at >= utc_now() - timedelta(seconds=since))
    if user is not None:
        asked = asked.where(AuditLog.username == user)
    if action is not None:
        asked = asked.where(AuditLog.action == action)
    if failed:
        asked = asked.where(AuditLog.success.is_(False))
    with opened_registry(settings) as registry, registry.reading() as session:
        found = session.scalars(asked.order_by(AuditLog.id.desc()).limit(limit)).all()
    rows = [
        {
            "time": one.created_at,
            "user": one.username,
            "action": one.action,
            "done": one.success,
            "refused because": one.error_message,
            "address": one.ip_address,
            "details": one.details,
        }
        for one in found
    ]
    _print(rows, as_json, "nothing in that time; longer: --since 30d")


def _password(file: Any, generate: bool) -> str:
    """A password from where it was said to come from."""
    if file is not None and generate:
        raise UsageError("--password-file or --generate, not both")
    if generate:
        return passwords.generated()
    if file is not None:
        try:
            lines = file.read(_MOST_FILE).decode("utf-8").splitlines()
        except UnicodeDecodeError:
            raise UsageError("the password's file is not UTF-8") from None
        return lines[0] if lines else ""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for it", hint="--password-file or --generate")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _plain(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "role": user.role.value,
        "status": user.status.value,
        "full name": user.full_name,
        "email": user.email,
        "last login": user.last_login,
        "locked until": user.locked_until,
        "must change": user.must_change_password,
    }


def _print_user(user: User, as_json: bool, told: str, generated: str | None = None) -> None:
    if as_json:
        shown = {"password": generated} if generated else {}
        print_json({**_plain(user), **shown})
        return
    click.echo(told)
    if generated:
        click.echo(f"password, shown this once: {generated}")


def _print(rows: list[dict[str, Any]], as_json: bool, nothing: str) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_grid(rows)
    else:
        click.echo(nothing, err=True)
