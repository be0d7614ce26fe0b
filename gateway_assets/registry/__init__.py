"""The registry: devices, tags, alert rules, alerts, users. SQLite by default, PostgreSQL by URL.

Promise: one model for both databases; a change of it is a migration that keeps what is there. What
history speaks of is never removed by removing something else.

``words``       the words that columns may hold
``types``       columns that the two databases store in different ways
``model``       what every table shares
``devices``     devices, tags, drivers
``alerts``      rules, alerts, their steps, notifications
``users``       users, sessions, tokens, the audit
``audit``       the log of what was done and what was refused
``database``    opening it, transactions, its refusals as errors
``opened``      opening it as commands and services do
``upgrade``     migrations: which there are, and applying them
``opened``      the registry as commands and services open it
``snapshot``    all rows of one instant, for its history
``migrations``  the migrations themselves
"""
