"""What Prometheus is told.

``counters``      bytes by remote, country and process, in a file that outlives the process
``letters``       what landed as one file, added up for them
``meter``         what the endpoint tells
``kernel_bytes``  what the kernel says has passed an interface
``exposition``    Prometheus' text format
``endpoint``      metrics over HTTP, in a thread
"""
