"""Did it learn anything? Checks a trained autoencoder on the test split, in numbers and pictures.

    python SanityChecks.py
    python SanityChecks.py --run cifar10-deep --compare cifar10-compact

Reads data/<dataset>/ and models/<run>/best.keras; writes reports/<run>/: report.html, metrics.json, PNG, CSV.
"""

from latentsearch.cli import paragraph, print_table, quiet_libraries, run_script
from latentsearch.config import CheckConfig


def main(config: CheckConfig) -> int:
    """Checks the run that `config` names; returns 1 when a check fails and `config.strict` is set."""
    with quiet_libraries():
        from latentsearch import runs
        from latentsearch.evaluation import checks, report
        from latentsearch.evaluation.evaluate import evaluate
        from latentsearch.gallery.trained_run import open_trained

    name = runs.choose(config.root, config.run)
    trained, *others = [
        open_trained(config.root, name, precision=config.encoder_precision) for name in (name, *config.compare)
    ]
    print(runs.in_words(name, config.run), trained.gallery_origin, sep="\n")
    measured = evaluate(trained, others, seed=config.seed, say=lambda line: print(f"... {line}", flush=True))
    results = checks.run_checks(measured)
    page = report.write(trained, measured, results)
    if measured.is_labelled:
        print_table(report.score_rows(measured, with_intervals=False))
    else:
        print(f"\n{report.NO_LABELS}")
    print_table(
        [
            {"check": result.name, "status": result.status, "value": result.shown_value, "expected": result.expected}
            for result in results
        ]
    )
    print_table(report.duplicate_rows(measured))
    others_of_note = report.headline(measured, with_scores=False)
    print_table([{"measure": name, "value": value} for name, value in others_of_note.items()])
    for result in results:
        if result.status == "n/a":
            print(paragraph(f"n/a {result.name}: {result.meaning}"))
        elif result.status != "PASS":
            print(paragraph(f"{result.status} {result.name}: {result.remedy}"))
    print(paragraph(report.verdict(measured, results)))
    print(f"Report: {page}", f"Next: {trained.run.command('RetrieveSimilar.py')}", sep="\n")
    return int(config.strict and any(result.status == "FAIL" for result in results))


if __name__ == "__main__":
    run_script(main, CheckConfig, __doc__)
