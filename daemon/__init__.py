"""ptero-backupd: rotates the backups of game servers on Pterodactyl and Pelican panels."""

__version__ = "0.1.0"
