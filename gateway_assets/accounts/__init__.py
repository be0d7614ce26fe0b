"""Who may do what: users of the registry, their passwords, sessions and tokens.

Promise: no password and no token is kept, only what it can be checked by. Every change, and every
attempt that was refused, is in the audit; a client that is refused learns no reason.

``roles``      what each role may do
``passwords``  hashing, checking and making passwords
``users``      adding and changing users
``login``      a user and a password, checked; lock-out
``sessions``   logins that last for a while
``tokens``     tokens of programs
``bearer``     tokens as random text, and the hash that is kept of them
``refusals``   what was refused, in the audit
``identity``   who is behind a request
"""
