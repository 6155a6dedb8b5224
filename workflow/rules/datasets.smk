rule datasets:
    input:
        rules.optima.input,
        rules.runs.input,
        plan.results("datasets").values(),


rule collect_dataset:
    input:
        optima=plan.optima_of,
        tuned=plan.tuned_files,
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
        **sources.params("compute", "collect_dataset"),
        experiment=lambda wildcards: plan.experiments[wildcards.experiment].block,
    script:
        "../scripts/collect_dataset.py"
