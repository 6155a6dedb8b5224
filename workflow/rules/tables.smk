rule tables:
    input:
        rules.datasets.input,
        rules.evaluation.input if plan.evaluates else [],
        rules.predictions.input if plan.prediction.files else [],
        plan.tables.files("datasets"),


# Every table: the plug-in in src/metalqr/reporting/tables declares its inputs and its entry in the report.
rule tabulate:
    input:
        plan.tables.of("inputs"),
    output:
        markdown="results/tables/{table}.md",
        csv=report(
            "results/tables/{table}.csv",
            caption="../report/caption.rst",
            category=plan.tables.of("category"),
            labels=plan.tables.of("labels"),
        ),
    log:
        "results/logs/tables/{table}.log",
    benchmark:
        "results/timings/tables/{table}.tsv"
    wildcard_constraints:
        table=plan.tables.pattern,
    # Takes seconds, so even with a cluster profile it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/compute.yaml"
    resources:
        mem_mb=plan.tables.memory,
        runtime=10,
    params:
        **plan.tables.params,
        **sources.params("compute", "tabulate", plan.tables.of("sources")),
    script:
        "../scripts/tabulate.py"
