"""What a trial keeps for the report's pictures."""

import numpy as np

from sweeps.trial import summary


def test_what_is_saved_is_loaded(tmp_path):
    dense = {"dense_1": np.array([[-2.0, 1.0], [0.5, 1.5]])}
    pruned = {"dense_1": np.array([[-2.0, 0.0], [0.0, 1.0]])}
    relevance = np.array([0.25, 0.75])
    by_products = {"input_relevance": relevance, "other": np.zeros(3)}
    summary.save(tmp_path / summary.SUMMARY_FILE, dense, pruned, by_products, 2 * relevance)
    seen = summary.load(tmp_path / summary.SUMMARY_FILE)
    histogram = seen.histograms["dense_1"]
    assert (histogram.edges[0], histogram.edges[-1]) == (-2, 2)
    assert (histogram.before.sum(), histogram.after.sum(), histogram.zeros) == (4, 2, 2)
    assert histogram.after[0] == 1  # -2 lies in the first bin
    values, counts = seen.codebooks["dense_1"]
    assert (values.tolist(), counts.tolist()) == ([-2, 0, 1], [1, 2, 1])
    assert np.array_equal(seen.relevance, relevance)
    assert np.array_equal(seen.example, 2 * relevance)


def test_a_smaller_layer_than_before_is_fine_and_different_weights_make_no_codebook(tmp_path):
    generator = np.random.default_rng(0)
    dense, pruned = generator.normal(size=(100, 100)), generator.normal(size=(80, 50))
    summary.save(tmp_path / summary.SUMMARY_FILE, {"conv_1": dense}, {"conv_1": pruned}, {}, np.ones(4))
    seen = summary.load(tmp_path / summary.SUMMARY_FILE)
    assert seen.histograms["conv_1"].before.sum() == 10_000
    assert seen.histograms["conv_1"].after.sum() == 4_000
    assert seen.codebooks == {}
    assert seen.relevance is None


def test_a_layer_of_zeros(tmp_path):
    zeros = {"dense_1": np.zeros((3, 2))}
    summary.save(tmp_path / summary.SUMMARY_FILE, zeros, zeros, {}, np.ones(4))
    histogram = summary.load(tmp_path / summary.SUMMARY_FILE).histograms["dense_1"]
    assert (histogram.before.sum(), histogram.after.sum(), histogram.zeros) == (6, 0, 6)


def test_an_older_result_has_nothing_to_look_at(tmp_path):
    assert summary.load(tmp_path / summary.SUMMARY_FILE) == summary.TrialSummary()
