"""Alarms: what a rule makes of the samples of one series, and how well the rules serve people.

Promise: the same samples give the same transitions, however they are batched and whenever they
are looked at; an alarm ends by a sample, by its rule's policy for silence, or by a person, never
by age.

The logic, which reads and writes nothing:

``rule``            what a rule is, checked
``predicate``       when a value fires and when it clears, in Python and in SQL
``expression``      conditions that people write, parsed and compiled to Python
``expression_sql``  the same conditions in SQL
``state``           what is remembered of an alarm, and what is told of it
``machine``         samples and silence move the state
``actions``         people move the state
``kpi``             how many alarms there were, beside what people can handle

The engine:

``scope``           which series a rule looks at
``entry``           rules as people declare them, checked
``pairs``           the same, kept up with the registry and the points
``samples``         new samples of a series
``engine``          marked series are evaluated, silence is noticed
``run``             one engine at a time on a data directory
``store``           instances and their steps, read and written
``history``         the rows that people see
``record``          all of that, with the notifications, in one transaction
``wording``         what an alarm says
``presence``        which devices are there, by their points
``tidy``            what nobody asks for any more goes
``operate``         what operators do, with who, when and why
``standing``        what stands in alarm
``activations``     steps as activations, for the figures
``as_sql``          a rule's condition as a question over points
``simulate``        when a rule would have fired
"""
