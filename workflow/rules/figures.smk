rule figures:
    input:
        rules.datasets.input,
        plan.figure_files,


rule draw_curves:
    input:
        "results/datasets/{experiment}.nc",
    output:
        "results/figures/{experiment}.pdf",
        report(
            "results/figures/{experiment}.svg",
            caption="../report/curves.rst",
            category="Figures",
            labels={"figure": "{experiment}"},
        ),
        "results/figures/{experiment}.png",
    log:
        "results/logs/figures/{experiment}.log",
    benchmark:
        "results/timings/figures/{experiment}.tsv"
    wildcard_constraints:
        experiment="|".join(plan.curves) or "(?!)",
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=plan.figure_memory,
        runtime=10,
    params:
        sources=sources.of("draw_curves"),
        versions=sources.versions("figures"),
    script:
        "../scripts/draw_curves.py"


rule draw_hyperparameters:
    input:
        expand("results/datasets/{experiment}.nc", experiment=plan.sweeps),
    output:
        "results/figures/hyperparameters.pdf",
        report(
            "results/figures/hyperparameters.svg",
            caption="../report/hyperparameters.rst",
            category="Figures",
            labels={"figure": "hyperparameters"},
        ),
        "results/figures/hyperparameters.png",
    log:
        "results/logs/figures/hyperparameters.log",
    benchmark:
        "results/timings/figures/hyperparameters.tsv"
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=plan.figure_memory,
        runtime=10,
    params:
        experiments=list(plan.sweeps),
        sources=sources.of("draw_hyperparameters"),
        versions=sources.versions("figures"),
    script:
        "../scripts/draw_hyperparameters.py"
