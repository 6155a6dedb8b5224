rule optima:
    input:
        rules.tasks.input,
        expand("results/optima/{case}.nc", case=plan.modelled),
        plan.meta_optima.values(),
        plan.figures.files("optima"),
        plan.tables.files("optima"),


rule solve_optima:
    input:
        tasks="results/tasks/{case}.nc",
    output:
        "results/optima/{case}.nc",
    log:
        "results/logs/optima/{case}.log",
    benchmark:
        "results/timings/optima/{case}.tsv"
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("solve_optima"),
    params:
        **sources.params("compute", "solve_optima"),
    script:
        "../scripts/solve_optima.py"


# A target rule for these files alone.
rule meta_optima:
    input:
        rules.tasks.input,
        plan.meta_optima.values(),


# One file for each adaptation rate: another rate in a sweep makes no other file stale.
rule solve_meta_optimum:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
    output:
        "results/optima/{case}/adaptation_rate-{rate}.nc",
    log:
        "results/logs/optima/{case}/adaptation_rate-{rate}.log",
    benchmark:
        "results/timings/optima/{case}/adaptation_rate-{rate}.tsv"
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("solve_meta_optimum"),
    params:
        **sources.params("compute", "solve_meta_optimum"),
    script:
        "../scripts/solve_meta_optimum.py"
