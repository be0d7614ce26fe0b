"""Alarms: what a rule makes of the samples of one series, and how well the rules serve people.

Promise: the same samples give the same transitions, however they are batched and whenever they
are looked at; an alarm ends by a sample, by its rule's policy for silence, or by a person, never
by age.
Nothing here reads or writes anything.

``rule``            what a rule is, checked
``predicate``       when a value fires and when it clears, in Python and in SQL
``expression``      conditions that people write, parsed and compiled to Python
``expression_sql``  the same conditions in SQL
``state``           what is remembered of an alarm, and what is told of it
``machine``         samples and silence move the state
``actions``         people move the state
"""
