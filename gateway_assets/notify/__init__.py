"""Notify: people are told of alarms, by webhooks, e-mail or a log.

Promise: a notification is written in the transaction of the step that it tells of, and is sent at
least once, in order for each alert, until its receiver has taken it or it is DEAD with the reason.
Who gets it twice can tell, by the same key. What a limit of rate holds back is counted and told.

``sink``      the contract: what is sent, and what takes it
``wording``   messages in plain words
``webhook``   JSON by POST, signed
``mail``      e-mail by SMTP
``log``       JSON lines in a file or on standard output
``channels``  what the configuration of a channel may say, and the sink that it makes
``outbox``    writing notifications, and giving dead ones another try
``batches``   what is sent next, claimed so that nobody else sends it; what became of it
``deliver``   sending what is due, once or until stopped
"""
