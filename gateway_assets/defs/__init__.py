"""Dagster's door to the stages: thin assets, one factory per stage, called once per table.

``landing``          raw files waiting to be loaded, one asset per source
``hot``              hot tables, one asset per source
``rollups``          roll-ups, one asset per table, daily partitions
``cold``             archives, one asset per table, daily partitions
``checks``           what is looked at once a day: complete capture, files against both tiers
``points``           the frame logs, and what is loaded from them, where there are points
``points_rollups``   roll-ups of points, four assets made in one step, daily partitions
``points_overview``  how points do: what waits, what was rejected, whether any come
``points_runs``      the jobs of points, and what starts them
``alarms``           points evaluated by alert rules, and how many alarms people had
``collected``        one look at the StarRocks clusters, by hand
``registry``         snapshots of the registry, and what changed since the one before
``advice``           what is worth an alert about clusters, one check a rule
``clusters``         how clusters do, and when their disks are full
``picture``          growth as a picture
``answers``          what stands where, and whether every row answers once
``automation``       the sensor on landing files, the schedules, the jobs behind them
``runs``             names of the jobs, tags of their runs, which are in flight
``partitions``       days are shown as archived when the manifest says so, whoever archived them
``backup``           one backup a day, once a week proven by being restored
``report``           statistics after archive runs, kept as a file and sent
``statistics``       what every table takes, hot and cold, and what is wrong with it
``notify``           sends the report; never waits long, never fails, never shows the address
``retention``        old runs of the load job go
``resource``         the bridge as a resource for assets of one's own
``describe``         how results become metadata that the UI shows and plots
``build``            all of it as one Definitions
``execute``          run a job in this process, kept in the instance's history
"""
