"""What Ray says of workers that died, as Ray 2.60 words it."""

from sweeps import losses

OUT_OF_MEMORY = """1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 127.0.0.1, \
ID: d18) was 2.23GB used / 3.00GB limit (0.743876)
OOM kill reason: Memory usage 2264338432B exceeded threshold of 2254857728B (70.0% of 3221225472B limit)
Ray killed 1 worker(s) based on the killing policy
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/. Consider \
provisioning more memory on this node.
"""


def test_of_what_ray_says_of_a_death_one_sentence_is_left():
    said = "its worker on 127.0.0.1 died: memory was short there (2.23GB used of 3.00GB)"
    assert losses.cause_of_death(OUT_OF_MEMORY) == said
    assert losses.is_out_of_memory(OUT_OF_MEMORY)
    assert losses.cause_of_death("first\nip: 10.0.0.1\nlast\n\n") == "its worker on 10.0.0.1 died: last"
    assert losses.cause_of_death("") == "its worker died: Ray says nothing about it"
