"""``gateway serve``: points over HTTP, as clients of InfluxDB 1, 2 and 3 write them.

Promise: what is answered with 204 is in the frame log, as durable as ``serve_durability`` says.
What is not accepted for want of room or time is answered with 503 and Retry-After, because clients
drop what any answer of the 400s refuses.

``app``         the routes together
``write``       the write endpoints of the three versions
``ready``       /ping, /health, and the statements that clients send when they connect
``status``      /metrics and /api/status
``accept``      a body becomes frames: parsed, checked, appended
``types``       which type a field has, so that a conflict is told before it is acknowledged
``body``        a body of bounded size, in time, inflated
``room``        how much may be in flight
``connection``  connections that do not wait for ever
``gate``        what decides who may do what
``tokens``      a file of tokens that may write
``users``       the registry's users
``credentials``  what a request shows of who sends it
``logins``      logging in and out, changing the password
``alerts``      alerts, for those who may read them
``operators``   alarms acknowledged, shelved, reset
``objects``     bodies that are JSON objects
``with_users``  users with their routes, on an open registry
``refusal``     an error in the words and the form of each version
``named``       headers that every answer has
``counts``      what the service counts of itself
``loader``      the process beside it that loads and rolls up
``alarms``      the process beside it: evaluates alarms, tells people, notes which devices are there
``keeper``      these processes, started again whenever they end
``run``         all of it, until it is told to stop
"""
