rule figures:
    input:
        rules.datasets.input,
        rules.evaluation.input if plan.evaluates else [],
        rules.predictions.input if plan.prediction.files else [],
        plan.figures.files("datasets"),


# Every figure: the plug-in in src/metalqr/reporting/figures declares its inputs and its entry in the report.
rule draw:
    input:
        results=plan.figures.of("inputs"),
        predictions=plan.figures.of("predictions"),
    output:
        "results/figures/{figure}.pdf",
        report(
            "results/figures/{figure}.svg",
            caption="../report/caption.rst",
            category=plan.figures.of("category"),
            labels=plan.figures.of("labels"),
        ),
        "results/figures/{figure}.png",
    log:
        "results/logs/figures/{figure}.log",
    benchmark:
        "results/timings/figures/{figure}.tsv"
    wildcard_constraints:
        figure=plan.figures.pattern,
    # Takes seconds, so even with a cluster profile it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=plan.figures.memory,
        runtime=10,
    params:
        **plan.figures.params,
        **sources.params("figures", "draw", plan.figures.of("sources")),
        predicted=plan.figures.of("predicted"),
    script:
        "../scripts/draw.py"
