rule theory:
    input:
        rules.optima.input,
        plan.theory.meta_optima.values(),
        plan.theory.run_files,
        plan.theory.files,
        plan.figures.files("theory"),
        plan.tables.files("theory"),


# A target rule for each kind of file.
rule estimation_error:
    input:
        rules.tasks.input,
        plan.theory.files_in("estimation_error").values(),


rule exact_methods:
    input:
        rules.optima.input,
        plan.theory.meta_optima.values(),
        plan.theory.files_in("exact_methods").values(),


rule stability:
    input:
        rules.tasks.input,
        plan.theory.run_files,
        plan.theory.files_in("stability").values(),


rule certificates:
    input:
        rules.optima.input,
        plan.theory.meta_optima.values(),
        plan.theory.run_files,
        plan.theory.files_in("certificates").values(),


rule audit_theory:
    input:
        tasks="results/tasks/{case}.nc",
    output:
        "results/theory/{case}.nc",
    log:
        "results/logs/theory/{case}.log",
    benchmark:
        "results/timings/theory/{case}.tsv"
    priority: plan.priority("audit_theory")
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("audit_theory"),
    params:
        **sources.params("compute", "audit_theory"),
        settings=plan.theory.settings,
        audit=plan.checked.theory.audit.as_dict(),
        requirements=plan.checked.theory.requirements.as_dict(),
        seed=plan.checked.theory.seed,
    script:
        "../scripts/audit_theory.py"


rule measure_estimation_error:
    input:
        tasks="results/tasks/{case}.nc",
    output:
        "results/estimation_error/{case}.nc",
    log:
        "results/logs/estimation_error/{case}.log",
    benchmark:
        "results/timings/estimation_error/{case}.tsv"
    priority: plan.priority("measure_estimation_error")
    conda:
        "../../envs/compute.yaml"
    threads: plan.checked.execution.threads
    resources:
        **plan.resources("measure_estimation_error"),
    params:
        **sources.params("compute", "measure_estimation_error", plan.theory.plugins),
        settings=plan.theory.settings,
        estimation_error=plan.checked.theory.estimation_error.as_dict(),
        seed=plan.checked.theory.seed,
    script:
        "../scripts/measure_estimation_error.py"


rule run_exact_methods:
    input:
        tasks="results/tasks/{case}.nc",
        meta_optimum=lambda wildcards: plan.theory.meta_optima[wildcards.case],
    output:
        "results/exact_methods/{case}.nc",
    log:
        "results/logs/exact_methods/{case}.log",
    benchmark:
        "results/timings/exact_methods/{case}.tsv"
    priority: plan.priority("run_exact_methods")
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("run_exact_methods"),
    params:
        **sources.params("compute", "run_exact_methods"),
        settings=plan.theory.settings,
        iterations=plan.checked.theory.exact_methods.iterations,
    script:
        "../scripts/run_exact_methods.py"


rule check_stability:
    input:
        tasks="results/tasks/{case}.nc",
        runs=lambda wildcards: plan.theory.runs_of(wildcards.case),
    output:
        "results/stability/{case}.nc",
    log:
        "results/logs/stability/{case}.log",
    benchmark:
        "results/timings/stability/{case}.tsv"
    wildcard_constraints:
        case="|".join(plan.theory.trained_cases) or "(?!)",
    priority: plan.priority("check_stability")
    conda:
        "../../envs/compute.yaml"
    threads: plan.checked.execution.threads
    resources:
        **plan.resources("check_stability"),
    params:
        **sources.params("compute", "check_stability", plan.theory.plugins),
        settings=plan.theory.settings,
    script:
        "../scripts/check_stability.py"


rule certify_runs:
    input:
        tasks="results/tasks/{case}.nc",
        meta_optimum=lambda wildcards: plan.theory.meta_optima[wildcards.case],
        runs=lambda wildcards: plan.theory.runs_of(wildcards.case),
    output:
        "results/certificates/{case}.nc",
    log:
        "results/logs/certificates/{case}.log",
    benchmark:
        "results/timings/certificates/{case}.tsv"
    wildcard_constraints:
        case="|".join(plan.theory.trained_cases) or "(?!)",
    priority: plan.priority("certify_runs")
    conda:
        "../../envs/compute.yaml"
    resources:
        **plan.resources("certify_runs"),
    params:
        **sources.params("compute", "certify_runs"),
        settings=plan.theory.settings,
        every=plan.checked.theory.certificates.every,
    script:
        "../scripts/certify_runs.py"
