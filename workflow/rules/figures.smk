rule figures:
    input:
        rules.datasets.input,
        plan.figures.files("datasets"),


# Every figure: the plug-in in src/metalqr/reporting/figures says what it reads and how the report shows it.
rule draw:
    input:
        plan.figures.inputs,
    output:
        "results/figures/{figure}.pdf",
        report(
            "results/figures/{figure}.svg",
            caption="../report/caption.rst",
            category=plan.figures.category,
            labels=plan.figures.labels,
        ),
        "results/figures/{figure}.png",
    log:
        "results/logs/figures/{figure}.log",
    benchmark:
        "results/timings/figures/{figure}.tsv"
    wildcard_constraints:
        figure=plan.figures.pattern,
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=plan.figures.memory,
        runtime=10,
    params:
        plugin=plan.figures.plugin,
        names=plan.figures.names,
        reader=plan.figures.reader,
        caption=plan.figures.caption,
        sources=lambda wildcards: sources.of("draw", plan.figures.sources(wildcards)),
        versions=sources.versions("figures"),
    script:
        "../scripts/draw.py"
