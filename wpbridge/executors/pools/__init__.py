"""The core of every pool of worker processes: started, fed, watched, replaced and ended.

:mod:`wpbridge.executors.php` and :mod:`wpbridge.executors.process` say what their workers are told
and what they answer; everything else stands here.
"""
