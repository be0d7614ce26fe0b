"""Files that appear whole or not at all, and the landing contract on top of that.

``appear``   the one place of the project that makes a data file appear
``landing``  writing, reading and salvaging landing files
``lock``     one process at a time, released by the kernel when the holder dies
"""
