"""Simulated: a StarRocks cluster that is none, for tests and ``gateway demo cluster``.

Promises: real sockets on loopback, MySQL's protocol and HTTP as StarRocks speaks them, columns and
pages of the version that is asked for; the truth beside what is shown; the same seed, the same
cluster. Whatever it says of itself says ``simulated``.

``cluster``     puts it together: SimulatedCluster and what can happen to it
``model``       the state that moves
``making``      nodes and tables at the beginning
``work``        what happens while time goes on
``series``      names of series
``texts``       sizes, shares, moments and numbers as texts
``listening``   sockets that open and close
``faults``      answers that go wrong
``mysql``       the server's side of MySQL's protocol
``statements``  from a statement to its answer
``show``        answers of SHOW, by version and mode
``schema``      answers of SELECT: information_schema and the audit table
``lively``      a day of a busy cluster, for people to watch
``declared``    its line in clusters.toml
``web``         the server's side of HTTP
``pages``       metrics as text
"""
