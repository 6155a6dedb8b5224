rule theory:
    input:
        rules.optima.input,
        plan.theory.files_in("optima"),
        plan.theory.run_files,
        plan.theory.files,


# A target for each kind of file as well.
rule estimation_error:
    input:
        rules.optima.input,
        plan.theory.files_in("estimation_error"),


rule exact_methods:
    input:
        rules.optima.input,
        plan.theory.files_in("optima"),
        plan.theory.files_in("exact_methods"),


rule stability:
    input:
        rules.optima.input,
        plan.theory.run_files,
        plan.theory.files_in("stability"),


rule audit_theory:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
    output:
        "results/theory/{case}.nc",
    log:
        "results/logs/theory/{case}.log",
    benchmark:
        "results/timings/theory/{case}.tsv"
    priority: plan.theory.priority("audit_theory")
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=plan.theory.memory("audit_theory"),
        runtime=plan.theory.minutes("audit_theory"),
    params:
        settings=plan.theory.settings,
        audit=plan.theory.block("audit"),
        requirements=plan.theory.block("requirements"),
        seed=plan.theory.seed,
        sources=sources.of("audit_theory"),
        versions=sources.versions("compute"),
    script:
        "../scripts/audit_theory.py"


rule measure_estimation_error:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
    output:
        "results/estimation_error/{case}.nc",
    log:
        "results/logs/estimation_error/{case}.log",
    benchmark:
        "results/timings/estimation_error/{case}.tsv"
    priority: plan.theory.priority("measure_estimation_error")
    conda:
        "../../envs/compute.yaml"
    threads: plan.threads
    resources:
        mem_mb=plan.theory.memory("measure_estimation_error"),
        runtime=plan.theory.minutes("measure_estimation_error"),
    params:
        settings=plan.theory.settings,
        estimation_error=plan.theory.block("estimation_error"),
        seed=plan.theory.seed,
        sources=sources.of("measure_estimation_error"),
        versions=sources.versions("compute"),
    script:
        "../scripts/measure_estimation_error.py"


rule run_exact_methods:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
        meta_optimum=plan.theory.meta_optimum_of,
    output:
        "results/exact_methods/{case}.nc",
    log:
        "results/logs/exact_methods/{case}.log",
    benchmark:
        "results/timings/exact_methods/{case}.tsv"
    priority: plan.theory.priority("run_exact_methods")
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=plan.theory.memory("run_exact_methods"),
        runtime=plan.theory.minutes("run_exact_methods"),
    params:
        settings=plan.theory.settings,
        iterations=plan.theory.block("exact_methods")["iterations"],
        sources=sources.of("run_exact_methods"),
        versions=sources.versions("compute"),
    script:
        "../scripts/run_exact_methods.py"


rule check_stability:
    input:
        tasks="results/tasks/{case}.nc",
        optima="results/optima/{case}.nc",
        runs=plan.theory.runs_of,
    output:
        "results/stability/{case}.nc",
    log:
        "results/logs/stability/{case}.log",
    benchmark:
        "results/timings/stability/{case}.tsv"
    wildcard_constraints:
        case="|".join(plan.theory.trained_cases) or "(?!)",
    priority: plan.theory.priority("check_stability")
    conda:
        "../../envs/compute.yaml"
    threads: plan.threads
    resources:
        mem_mb=plan.theory.memory("check_stability"),
        runtime=plan.theory.minutes("check_stability"),
    params:
        settings=plan.theory.settings,
        sources=sources.of("check_stability"),
        versions=sources.versions("compute"),
    script:
        "../scripts/check_stability.py"


rule draw_estimation_error:
    input:
        plan.theory.files_in("estimation_error"),
    output:
        "results/figures/estimation_error.pdf",
        report(
            "results/figures/estimation_error.svg",
            caption="../report/estimation_error.rst",
            category="Theory",
            labels={"figure": "estimation_error"},
        ),
        "results/figures/estimation_error.png",
    log:
        "results/logs/figures/estimation_error.log",
    benchmark:
        "results/timings/figures/estimation_error.tsv"
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=plan.theory.drawing_memory,
        runtime=10,
    params:
        cases=plan.theory.cases,
        sources=sources.of("draw_estimation_error"),
        versions=sources.versions("figures"),
    script:
        "../scripts/draw_estimation_error.py"


rule draw_exact_methods:
    input:
        plan.theory.files_in("exact_methods"),
    output:
        "results/figures/exact_methods.pdf",
        report(
            "results/figures/exact_methods.svg",
            caption="../report/exact_methods.rst",
            category="Theory",
            labels={"figure": "exact_methods"},
        ),
        "results/figures/exact_methods.png",
    log:
        "results/logs/figures/exact_methods.log",
    benchmark:
        "results/timings/figures/exact_methods.tsv"
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=plan.theory.drawing_memory,
        runtime=10,
    params:
        cases=plan.theory.cases,
        sources=sources.of("draw_exact_methods"),
        versions=sources.versions("figures"),
    script:
        "../scripts/draw_exact_methods.py"


rule draw_theory_vs_practice:
    input:
        plan.theory.files_in("theory"),
    output:
        "results/figures/theory_vs_practice.pdf",
        report(
            "results/figures/theory_vs_practice.svg",
            caption="../report/theory_vs_practice.rst",
            category="Theory",
            labels={"figure": "theory_vs_practice"},
        ),
        "results/figures/theory_vs_practice.png",
    log:
        "results/logs/figures/theory_vs_practice.log",
    benchmark:
        "results/timings/figures/theory_vs_practice.tsv"
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=plan.theory.drawing_memory,
        runtime=10,
    params:
        cases=plan.theory.cases,
        sources=sources.of("draw_theory_vs_practice"),
        versions=sources.versions("figures"),
    script:
        "../scripts/draw_theory_vs_practice.py"


rule tabulate_theory:
    input:
        plan.theory.files_of,
    output:
        markdown="results/tables/{table}.md",
        csv=report(
            "results/tables/{table}.csv",
            caption="../report/theory_table.rst",
            category="Theory",
            labels={"table": "{table}"},
        ),
    log:
        "results/logs/tables/{table}.log",
    benchmark:
        "results/timings/tables/{table}.tsv"
    wildcard_constraints:
        table="|".join(plan.theory.tables) or "(?!)",
    # Seconds of work: on a cluster it runs where Snakemake runs.
    localrule: True
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=plan.theory.drawing_memory,
        runtime=10,
    params:
        cases=plan.theory.cases_of,
        sources=sources.of("tabulate_theory"),
        versions=sources.versions("compute"),
    script:
        "../scripts/tabulate_theory.py"
