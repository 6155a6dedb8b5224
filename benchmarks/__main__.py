"""``python -m benchmarks``. Short, because every worker process imports it again."""

if __name__ == "__main__":
    from benchmarks.run import main

    main()
