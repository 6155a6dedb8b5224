rule tables:
    input:
        rules.datasets.input,
        plan.table_files,


rule summarise_experiment:
    input:
        "results/datasets/{experiment}.nc",
    output:
        markdown="results/tables/{experiment}.md",
        csv=report(
            "results/tables/{experiment}.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"experiment": "{experiment}"},
        ),
    log:
        "results/logs/tables/{experiment}.log",
    benchmark:
        "results/timings/tables/{experiment}.tsv"
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=plan.figure_memory,
        runtime=10,
    params:
        sources=sources.of("summarise_experiment"),
        versions=sources.versions("compute"),
    script:
        "../scripts/summarise_experiment.py"
