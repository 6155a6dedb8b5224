"""``python -m website``, which is ``make docs``."""

if __name__ == "__main__":
    from website.build import main

    main()
