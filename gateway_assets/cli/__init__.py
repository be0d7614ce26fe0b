"""The ``gateway`` command.

``main``     the command, its settings and its errors
``stages``   load, rollup: the stages by hand
``archive``  archive plan, run, status, verify, restore, erase, compact, backup, export
``backup``   backup, restore: everything at once
``geoip``    geoip status, re-enrich: where addresses are
``pull``     pull: tables of PostgreSQL servers
``query``    one SELECT over both tiers
``export``   its answer as a file
``shell``    SQL line by line
``answers``  answers printed
``written``  answers written to files
``confined``  going on in a child process, within limits
``tables``   what stands where
``config``   every setting with value, default and origin
``dagster``  Dagster's own commands with this project's home and definitions
``clusters``  what the collected rows say about StarRocks clusters
``cluster_overview``  one cluster on one page
``pictures``  numbers as pictures of one line
``spans``    lengths of time such as 6h
``collect``  StarRocks clusters looked at, once or until stopped
``notifications``  notifications list, deliver, retry, test
``points``   write, series, points: time series by hand
``serve``    points over HTTP
``alerts``, ``alarms``  what is in alarm, and what operators do about it
``rules_simulate``, ``simulated_rules``  when a rule would have fired
``registry_history``  registry snapshot, history, as-of, mirror
``registry``  registry upgrade, status, seed-demo, import, export
``devices``, ``tags``, ``rules``, ``channels``  what the registry holds, by hand
``registered``  what these commands share
``entry_options``  the fields of an entry as options of a command
``users``    users, their tokens and sessions, the audit
``up``       capture, UI and daemon together in the foreground
``tour``     the whole way once, from the wire to one answer
``traffic``  the HTTP transfers over loopback that the tour makes
``samples``  generated rows of past days, plainly marked as such
``demo``     example data to try things on
``forward``  the generated database of a message-forwarding bot
``show``     tables, JSON, sizes and progress on a terminal
"""
