from merf.cli import main

main()
