"""Where an address is and who provides it, by MaxMind DB files that people install.

Promises: nothing is downloaded; a database that is missing, broken or half written is said once
and stops nothing; a place is made of what one database says, in one language a label; addresses
that are nobody's on the Internet are never looked up. ``maxminddb`` is imported when there is a
database to open, because it would cost the capture daemon megabytes.

``place``     what is known of an address, and which addresses are looked up
``schemas``   the records of several vendors' databases as one
``database``  one opened file
``licence``   whose data it is and what its licence asks for
``geoip``     several databases at once: cached, and opened again when their files change
"""
