rule datasets:
    input:
        rules.optima.input,
        rules.runs.input,
        plan.results("datasets").values(),


rule collect_dataset:
    input:
        optima=plan.optima_of,
        runs=lambda wildcards: plan.run_files(wildcards.experiment),
    output:
        "results/datasets/{experiment}.nc",
    log:
        "results/logs/datasets/{experiment}.log",
    benchmark:
        "results/timings/datasets/{experiment}.tsv"
    # Takes seconds, so even with a cluster profile it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("collect_dataset"),
    params:
        experiment=lambda wildcards: plan.experiments[wildcards.experiment].block,
        sources=sources.of("collect_dataset"),
        versions=sources.versions("compute"),
    script:
        "../scripts/collect_dataset.py"
